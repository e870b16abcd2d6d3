"""Disks that are full soon."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def mounted(folder):
    """Mount a disk of 16 MB at *folder*; skip the test where this is not allowed."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", folder]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
