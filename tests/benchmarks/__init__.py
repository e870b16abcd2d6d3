"""What the fleet costs, each figure beside the floor that it is held against.

Run by ``python -m tests.benchmarks``. Linux only: costs are read from /proc.
"""
