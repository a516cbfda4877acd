"""Benchmarks, run by hand as `python -m tests.benchmarks.bench_x`; README.md beside this file says how."""
