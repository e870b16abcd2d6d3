"""nginx in front of the servers of tests, configured as deployment.rst says.

Its tests are skipped without nginx (``apt-get install nginx``); with
LEA_REQUIRE_NGINX=1 they fail.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path

import pytest

from tests.support import docs
from tests.support.api import OPERATOR_TOKEN, Api
from tests.support.server import TcpClient, wait_until_it_listens

_DEADLINE = 60  # seconds
_NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")

needs_nginx = pytest.mark.skipif(
    _NGINX is None and not os.environ.get("LEA_REQUIRE_NGINX"), reason="no nginx"
)

#: What Debian's nginx.conf has around a server, in a folder of the test.
_AROUND = """
daemon off; user {user}; pid pid; error_log error.log; worker_processes 1;
events {{ worker_connections 768; }}
http {{
  access_log off; client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  {server}
}}
"""


class Front:
    """A running nginx, used as a server is."""

    def __init__(self, port, process, configuration):
        self.port = port
        self._process = process
        self._configuration = configuration

    @property
    def client(self):
        return TcpClient(self.port)

    @property
    def operator(self):
        return Api(self.client, OPERATOR_TOKEN)

    def take_out(self, backend):
        """Pass nothing more on to the port *backend*; return once it has no request."""
        self._replace(f":{backend} ", f":{backend} down ")

    def put_back(self, backend):
        self._replace(f":{backend} down ", f":{backend} ")

    def _replace(self, old, new):
        text = self._configuration.read_text()
        assert text.count(old) == 1
        self._configuration.write_text(text.replace(old, new))
        before = self._workers()
        self._process.send_signal(signal.SIGHUP)
        # Those before go once the requests that they have are answered.
        deadline = time.monotonic() + _DEADLINE
        while self._workers() & before:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _workers(self):
        pid = self._process.pid
        return {*Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


@contextmanager
def front_server(folder, backend):
    """Run nginx as *Front server* says, in front of the port *backend*."""
    passing = f"proxy_pass http://127.0.0.1:{backend};"
    with _running(folder, passing) as front:
        yield front


@contextmanager
def balancer(folder, *backends):
    """Run nginx as *Several application servers* says, in front of these ports."""
    section = docs.section(docs.parse(docs.DEPLOYMENT), "Several application servers")
    upstream, passing = docs.blocks(section, "nginx")
    addresses = re.findall(r"[\d.]+:8000", upstream)
    assert len(addresses) == len(backends)
    for address, backend in zip(addresses, backends):
        upstream = upstream.replace(address, f"127.0.0.1:{backend}")
    with _running(folder, passing, upstream) as front:
        yield front


@contextmanager
def _running(folder, passing, around=""):
    """Run nginx, without TLS; *passing* says where it passes requests on to."""
    port = docs.free_port()
    section = docs.section(docs.parse(docs.DEPLOYMENT), "Front server")
    (text,) = docs.blocks(section, "nginx")
    lines = [line for line in text.splitlines() if " ssl_certificate" not in line]
    text = "\n".join([around, *lines])
    for documented, here in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        ("proxy_pass http://127.0.0.1:8000;", passing),
    ):
        assert text.count(documented) == 1
        text = text.replace(documented, here)
    configuration = folder / "nginx.conf"
    configuration.write_text(_AROUND.format(user=getuser(), server=text))
    command = [_NGINX, "-p", f"{folder}/", "-c", "nginx.conf", "-e", "error.log"]
    nginx = subprocess.Popen(command)
    try:
        wait_until_it_listens(nginx, port)
        yield Front(port, nginx, configuration)
    finally:
        nginx.terminate()
        nginx.wait()
