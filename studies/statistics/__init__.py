"""What the votes of a study say: pure functions on arrays, numpy and scipy only.

Import from the module that holds the noun: ``from studies.statistics.fool_rate import fool_rate``.
"""
