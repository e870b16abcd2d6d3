"""The built package: complete, with correct metadata, and able to start.

It is built from a copy of the project's files without earlier builds, as in a fresh
clone.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path
from shutil import copytree

import pytest

from tests.support.api import OPERATOR_TOKEN, Api
from tests.support.docs import ROOT, environment, free_port, serving
from tests.support.server import TcpClient

PACKAGE = ROOT / "lea_fleet"
TOP = {"MANIFEST.in", "README.rst", "lea_fleet", "setup.cfg", "setup.py", "tests"}

#: What building, running and unpacking add to the folder.
LEFTOVERS = {"PKG-INFO", "__pycache__", "build", "data", "dist", "lea_fleet.egg-info"}

#: Keeps programs from importing from the project's folder.
ALONE = {"PYTHONPATH": ""}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the project's folder, as in a fresh clone."""

    def others(folder, names):
        ours = TOP if Path(folder) == ROOT else set(names) - {"__pycache__"}
        return set(names) - ours

    return copytree(ROOT, tmp_path_factory.mktemp("source") / "copy", ignore=others)


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    """The folder with the sdist, and with the wheel built from it."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--outdir", folder, source, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    (wheel,) = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        return message_from_bytes(archive.read(name))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The programs of a new virtual environment with only the wheel installed."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True, with_pip=True)
    programs = folder / "bin"
    run(programs / "pip", "install", "--quiet", wheel, cwd=folder)
    return programs


def run(*command, cwd, **variables):
    """Return the output of a command; fail the test if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment(**ALONE | variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def files(folder):
    """Return the path of every file in *folder*, relative to it."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix() for path in found}


def written(names):
    """Return *names* without those of files that a build creates."""
    made = ("PKG-INFO", "lea_fleet.egg-info/")
    return {name for name in names if not name.startswith(made)}


def test_the_top_level_holds_nothing_else_that_shows():
    names = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    assert names - LEFTOVERS == TOP


def test_the_top_of_the_package_has_at_most_14_entries():
    entries = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}

    assert len(entries) <= 14, sorted(entries)


def test_no_module_of_the_package_has_more_than_300_lines():
    lines = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }

    assert {path: count for path, count in lines.items() if count > 300} == {}


def test_the_sdist_has_every_file_of_the_project(source, built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {each.name.partition("/")[2] for each in archive if each.isfile()}

    assert written(packed) == written(files(source))


def test_the_wheel_has_every_file_of_the_package_and_no_test(source, wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())

    described = {name for name in packed if ".dist-info/" in name}
    package = {f"lea_fleet/{name}" for name in files(source / "lea_fleet")}
    assert packed - described == package
    assert package > {
        "lea_fleet/docs/architecture.rst",
        "lea_fleet/docs/changes.rst",
        "lea_fleet/docs/contributing.rst",
        "lea_fleet/docs/glossary.rst",
        "lea_fleet/docs/reference.rst",
        "lea_fleet/installer/enroll.sh",
        "lea_fleet/page/page.html",
        "lea_fleet/page/static/main.js",
        "lea_fleet/api/openapi.json",
        "lea_fleet/py.typed",
        "lea_fleet/storage/agents.py",
        "lea_fleet/storage/sqlite/schema.sql",
    }


def test_the_metadata_says_what_it_is_and_needs(metadata, source):
    needed = [need for need in metadata.get_all("Requires-Dist") if "extra" not in need]

    assert metadata["Name"].replace("_", "-") == "lea-fleet"
    assert metadata["Requires-Python"] == ">=3.10"
    assert needed == ["flask>=3.1", "flask-httpauth>=4.8.1"]
    extras = set(metadata.get_all("Provides-Extra"))
    assert extras == {"browser", "lint", "metrics", "postgresql", "server", "test"}
    assert metadata["Description-Content-Type"] == "text/x-rst"
    readme = (source / "README.rst").read_text("utf-8")
    assert metadata.get_payload(decode=True).decode().strip() == readme.strip()


def test_the_wheel_starts_where_there_is_nothing_else(installed, tmp_path):
    flask = f"{installed / 'flask'} --app lea_fleet"
    settings = {"RPA_API_TOKEN": OPERATOR_TOKEN, **ALONE}
    port = free_port()

    with serving(f"{flask} run", port, tmp_path, **settings):
        assert TcpClient(port).open("/fleet").status_code == 200
        Api(TcpClient(port), OPERATOR_TOKEN).enroll("PC-1").heartbeat()
        listed = run(*flask.split(), "fleet", "list", cwd=tmp_path, **settings)

    assert "PC-1" in listed
    where = "import lea_fleet; print(lea_fleet.__file__)"
    imported = run(installed / "python", "-c", where, cwd=tmp_path)
    assert Path(imported.strip()).is_relative_to(installed.parent)
