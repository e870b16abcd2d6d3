"""Measure the costs of the fleet, each next to a floor from the same run.

Run it with ``python -m tests.benchmarks``. Linux only: costs are read from /proc.
"""
