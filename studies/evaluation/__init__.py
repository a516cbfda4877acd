"""The methods on any photos, without a study: conditions as they are typed, photos behind any door, a table of means.

Beside `studies.methods` this is the only way to `sr_models`, whose doors to photos are imported inside functions.
"""
