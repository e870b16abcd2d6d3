"""A fresh Windows, or a computer with a shell, and the servers that they ask."""

from __future__ import annotations

import os
import shutil
import ssl
from uuid import uuid4

import pytest
import trustme

from tests.installer.faulty import faulty_server
from tests.installer.posix import SHELLS, Computer
from tests.installer.wine import Windows, why_there_is_no_bed
from tests.support.server import running_server


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
    """A fresh Windows."""
    return Windows(tmp_path / "pc")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The real server, in processes of its own; each test brings its own machines."""
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def front(server):
    """The server with faults, before the real one."""
    with faulty_server(server.port) as front:
        yield front


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def computer(request, front, server, tmp_path):
    """A computer with the kit and an enrollment token, for each shell there is."""
    if shutil.which("curl") is None:
        pytest.skip("enroll.sh and uninstall.sh take curl")
    computer = Computer(tmp_path, request.param, front.url, f"PC-{uuid4()}")
    computer.give(server.operator.installer().token)
    return computer


@pytest.fixture(scope="session")
def authority():
    """A private certificate authority.

    With RSA keys: Wine 8 takes no ECDSA signature of which one half is shorter than its
    curve's 32 bytes, which one certificate in 128 has.
    """
    return trustme.CA(key_type=trustme.KeyType.RSA)


@pytest.fixture(scope="session")
def trusted(authority, tmp_path_factory):
    """The file for a Windows that trusts the authority."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def https_front(server, authority):
    """The server with faults, which speaks HTTPS with a private certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf = authority.issue_cert("localhost", key_type=trustme.KeyType.RSA)
    leaf.configure_cert(context)
    with faulty_server(server.port, context) as front:
        yield front
