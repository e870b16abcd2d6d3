"""enroll.sh where the network is at fault: certificates, and proxies in between."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pytest

from tests.installer.faulty import answer, faulty_server

ELSEWHERE = "rpa.invalid"  # which only a proxy could find
NOW = datetime.now(timezone.utc)


@contextmanager
def https(server, certificate):
    """A server that speaks HTTPS with *certificate*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with faulty_server(server.port, context) as front:
        yield front


def assert_told_at_once(computer, run, *words, exit_code=20):
    """The run ended without a second request, and says these words."""
    assert run.exit_code == exit_code, run.output
    assert computer.pauses == []
    for word in words:
        assert word in computer.error


# Certificates


def test_a_trusted_certificate_enrolls(computer, https_front, trusted):
    run = computer.enroll("--url", https_front.url, CURL_CA_BUNDLE=str(trusted))

    assert run.exit_code == 0, run.output


def test_an_unknown_authority_is_named_and_not_tried_again(computer, https_front):
    run = computer.enroll("--url", https_front.url)

    assert_told_at_once(computer, run, "authority", "CURL_CA_BUNDLE", "(60)")
    assert https_front.requests == []


def test_a_chain_that_the_server_does_not_send_is_named(
    computer, server, authority, trusted, tmp_path
):
    whole = authority.create_child_ca().issue_cert("localhost")
    sent = tmp_path / "certificate.pem"
    for part in (whole.private_key_pem, whole.cert_chain_pems[0]):
        part.write_to_path(sent, append=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sent)
    with faulty_server(server.port, context) as front:
        run = computer.enroll("--url", front.url, CURL_CA_BUNDLE=str(trusted))

    assert_told_at_once(computer, run, "authority", "intermediate", "whole chain")


@pytest.mark.parametrize(
    ("before", "after"), [(-20, -10), (10, 20)], ids=["expired", "not yet valid"]
)
def test_a_date_that_does_not_fit_names_the_clock(
    computer, server, authority, trusted, before, after
):
    dates = {
        "not_before": NOW + timedelta(days=before),
        "not_after": NOW + timedelta(days=after),
    }
    with https(server, authority.issue_cert("localhost", **dates)) as front:
        run = computer.enroll("--url", front.url, CURL_CA_BUNDLE=str(trusted))

    assert_told_at_once(computer, run, "certificate is not valid now", "clock")
    assert f"{datetime.now(timezone.utc):%Y-%m-%dT}" in computer.error


def test_a_certificate_for_another_name_is_named(computer, server, authority, trusted):
    with https(server, authority.issue_cert("rpa.example.com")) as front:
        run = computer.enroll("--url", front.url, CURL_CA_BUNDLE=str(trusted))

    assert_told_at_once(computer, run, "certificate is for another name")


def test_a_file_of_authorities_that_is_missing_is_named(computer, https_front):
    run = computer.enroll("--url", https_front.url, CURL_CA_BUNDLE="/none")

    assert_told_at_once(computer, run, "ca-certificates", "CURL_CA_BUNDLE")


def test_a_port_without_tls_is_named(computer, front):
    run = computer.enroll("--url", front.url.replace("http:", "https:"))

    assert_told_at_once(computer, run, "No TLS", "port")


@contextmanager
def resetting_server():
    """A server that resets each connection; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def reset():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                linger = b"\1\0\0\0\0\0\0\0"
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.recv(1)
                connection.close()

        thread = threading.Thread(target=reset)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_handshake_that_is_reset_is_tried_again(computer):
    with resetting_server() as port:
        run = computer.enroll("--url", f"https://127.0.0.1:{port}", LEA_PATIENCE="3")

    assert run.exit_code == 20 and computer.pauses
    assert "No TLS" not in computer.error


def test_an_uninstall_says_what_is_wrong_with_a_certificate(computer, https_front):
    assert computer.enroll().exit_code == 0

    run = computer.uninstall("--url", https_front.url)

    assert "authority" in run.output and computer.pauses == []
    assert computer.token


# Proxies


PASSWORD = "pass-word"


def proxy_at(front, **settings):
    """Return an environment with *front* as a proxy that has a password."""
    place = urlsplit(front.url).netloc
    proxy = f"http://lea:{PASSWORD}@{place}"
    return place, {"no_proxy": "", **{name: proxy for name in settings}}


@pytest.mark.parametrize(
    ("scheme", "name"),
    [
        ("http", "http_proxy"),
        ("http", "all_proxy"),
        ("https", "https_proxy"),
        ("https", "HTTPS_PROXY"),
        ("https", "ALL_PROXY"),
    ],
)
def test_a_proxy_that_wants_a_password_has_an_exit_code_of_its_own(
    computer, front, scheme, name
):
    front.always(answer(407, Proxy_Authenticate="Basic"))
    place, environment = proxy_at(front, **{name: True})

    run = computer.enroll("--url", f"{scheme}://{ELSEWHERE}/api", **environment)

    assert_told_at_once(
        computer, run, "HTTP 407", f"through the proxy {place} ({name})", exit_code=25
    )
    assert PASSWORD not in run.output
    assert len(front.requests) == 1


@pytest.mark.parametrize(
    "proxy",
    [
        "http://lea:{}@proxy.invalid:99999",
        "lea:{}@proxy.invalid:99999",
        "http://lea:a#{}@proxy.invalid:3128",
        "http://lea:a/{}@proxy.invalid:3128",
        "http://lea:a@{}@proxy.invalid:3128",
        "http://lea:a {}@proxy.invalid:3128",
        "http://lea:a'{}@proxy.invalid:3128",
    ],
)
def test_the_password_for_a_proxy_is_not_told_even_where_curl_quotes_it(
    computer, proxy
):
    environment = {"no_proxy": "", "https_proxy": proxy.format(PASSWORD)}
    url = f"https://{ELSEWHERE}/api"
    run = computer.enroll("--url", url, LEA_PATIENCE="1", **environment)

    assert run.exit_code == 20
    assert "(https_proxy): curl: (" in computer.error
    assert PASSWORD not in run.output + computer.error


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_forbids_is_named(computer, front, scheme):
    front.always(answer(403, "<html>No</html>", "text/html"))
    place, environment = proxy_at(front, http_proxy=True, https_proxy=True)

    run = computer.enroll("--url", f"{scheme}://{ELSEWHERE}/api", **environment)

    assert_told_at_once(computer, run, "HTTP 403", f"through the proxy {place}")


def test_a_proxy_that_is_away_is_named_and_tried_again(computer, front):
    place, environment = proxy_at(front, http_proxy=True)
    with front.closed():
        url = f"http://{ELSEWHERE}/api"
        run = computer.enroll("--url", url, LEA_PATIENCE="3", **environment)

    assert run.exit_code == 20 and computer.pauses
    assert f"No response from {url}, through the proxy {place}" in computer.error


def test_a_proxy_that_has_no_answer_from_the_server_is_tried_again(computer, front):
    front.always(answer(503))
    place, environment = proxy_at(front, https_proxy=True)

    url = f"https://{ELSEWHERE}/api"
    run = computer.enroll("--url", url, LEA_PATIENCE="3", **environment)

    assert run.exit_code == 20 and computer.pauses
    assert "HTTP 503" in computer.error and place in computer.error


@pytest.mark.parametrize(
    "bypassed", ["*", "127.0.0.1", "example.com, 127.0.0.1", "example.com 127.0.0.1"]
)
def test_a_proxy_that_was_bypassed_is_not_named(computer, front, bypassed):
    front.always(answer(403, "<html>No</html>", "text/html"))
    environment = {"http_proxy": "http://127.0.0.1:9", "no_proxy": bypassed}

    run = computer.enroll(**environment)

    assert_told_at_once(computer, run, "HTTP 403")
    assert "proxy" not in run.output
