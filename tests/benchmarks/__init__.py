"""Measure what the fleet costs, each figure beside a floor from the same run.

Run by ``python -m tests.benchmarks``. Linux only: costs are read from /proc.
"""
