"""The fleet in the database: all SQL on it, one module per table or question.

No module here imports a driver; the engines do, each behind a wall of its own.
"""
