"""A fresh Windows for a test, where the bed is to be had."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.installer.wine import Windows, why_there_is_no_bed


@pytest.fixture(scope="session")
def bed():
    """Skip the tests where there is no bed; fail them where there has to be one."""
    reason = why_there_is_no_bed()
    if reason is None:
        return
    if os.environ.get("LEA_REQUIRE_INSTALLER"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def windows(bed, tmp_path):
    """A fresh Windows; only its work folder outlives the test."""
    yield Windows(tmp_path / "pc")
    shutil.rmtree(tmp_path / "pc" / "windows", ignore_errors=True)
