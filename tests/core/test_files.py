"""Files are on the disk before they get their names, or leave nothing behind."""

from __future__ import annotations

import os
import stat

import pytest

from lea_fleet.core.files import whole_file, whole_files


def test_a_file_gets_its_name_once_it_is_written_and_is_its_owners_alone(tmp_path):
    path = tmp_path / "backup.db"
    path.write_text("before")

    with whole_file(path) as new:
        new.write_text("after")
        assert path.read_text() == "before"

    assert path.read_text() == "after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["backup.db"]


@pytest.mark.parametrize("fault", [OSError, KeyboardInterrupt])
def test_a_fault_leaves_what_was_there_and_nothing_else(tmp_path, fault):
    path = tmp_path / "backup.db"
    path.write_text("before")

    with pytest.raises(fault), whole_file(path) as new:
        new.write_text("half")
        new.with_name("backup.db-journal").write_text("half")
        raise fault

    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["backup.db"]


def test_several_files_keep_their_modes_and_other_files_are_left_alone(tmp_path):
    (tmp_path / "notes").write_text("mine")

    with whole_files(tmp_path) as work:
        (work / "enroll.sh").write_text("#!/bin/sh\n")
        (work / "enroll.sh").chmod(0o755)
        (work / "token.txt").write_text("secret")

    assert sorted(os.listdir(tmp_path)) == ["enroll.sh", "notes", "token.txt"]
    assert stat.S_IMODE((tmp_path / "enroll.sh").stat().st_mode) == 0o755


def test_a_folder_that_does_not_exist_is_an_error_before_anything_is_written(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "missing" / "a"):
        raise AssertionError("nothing may be written")
