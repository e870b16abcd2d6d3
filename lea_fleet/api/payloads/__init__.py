"""Validate what callers send: bytes and strings in, checked values out.

All faults of a request are reported at once, in one ``InvalidField``.
"""
