"""Mail, taken by a real SMTP server."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from email import policy
from email.parser import BytesParser

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from lea_fleet.alerts import deadline as deadlines
from lea_fleet.alerts import mail as mails
from lea_fleet.alerts.digest import MAILED, digest
from lea_fleet.core.alerts import ALERTS, type_of_event
from lea_fleet.core.event_types import EVENTS
from tests.alerts.conftest import Fleet


class Post:
    """The mail that came; *answer* is what is answered to it, if not to *nobody*."""

    def __init__(self):
        self.mails, self.recipients, self.logins = [], [], []
        self.answer = "250 OK"
        self.nobody = ()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.nobody:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.answer.startswith("250"):
            parser = BytesParser(policy=policy.default)
            self.mails.append(parser.parsebytes(envelope.content))
            self.recipients.append(envelope.rcpt_tos)
        return self.answer

    def authenticate(self, server, session, envelope, mechanism, data):
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss/word")


@contextmanager
def post_office(**options):
    post = Post()
    controller = Controller(
        post, hostname="127.0.0.1", port=0, authenticator=post.authenticate, **options
    )
    # Port 0 is chosen by the system; the controller would connect to 0 itself.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        controller.port = free.getsockname()[1]
    controller.start()
    post.port = controller.port
    try:
        yield post
    finally:
        controller.stop()


@pytest.fixture
def post():
    with post_office() as post:
        yield post


@pytest.fixture
def make_told(make_app, the_clock):
    """Make a fleet whose alerts are mailed; that has begun."""

    def make(url, **settings):
        given = {
            "LEA_FLEET_MAIL_TO": "it@example.com, duty@example.com",
            "LEA_FLEET_SMTP_URL": url,
            "LEA_FLEET_ALERT_AFTER": "1h",
            **settings,
        }
        fleet = Fleet(make_app(**given), the_clock)
        fleet.operator.enroll("PC-0")
        fleet.notify()
        return fleet

    return make


@pytest.fixture
def told(make_told, post):
    return make_told(f"smtp://127.0.0.1:{post.port}")


def let_fall_silent(fleet, **details):
    fleet.enroll("PC-1", "PC-2", "PC-3")
    fleet.beat("PC-1", "PC-2", "PC-3", minutes=10)
    fleet.beat("PC-1", minutes=70)


def texts(mail):
    return [mail.get_body([kind]).get_content() for kind in ("plain", "html")]


def test_a_recipient_that_is_refused_keeps_the_mail_from_no_other(told, post, caplog):
    post.nobody = ("duty@example.com",)
    let_fall_silent(told)

    assert told.notify()[1] == 0
    assert told.notify() == (0, 0)  # nothing is sent again

    assert post.recipients == [["it@example.com"]]
    assert "refused 1 of 2 recipients (550)" in caplog.text


def test_one_mail_tells_all_of_a_run(told, post):
    let_fall_silent(told)

    assert told.notify()[1] == 0

    (mail,) = post.mails
    assert post.recipients == [["it@example.com", "duty@example.com"]]
    assert mail["From"] == "it@example.com"
    assert mail["Subject"] == "lea-fleet: 3 machines are silent"
    assert mail["Auto-Submitted"] == "auto-generated"
    for text in texts(mail):
        assert "PC-2" in text and "PC-3" in text
        assert "last seen 2026-03-02 08:" in text


def test_no_mail_is_sent_if_there_is_nothing_to_tell(told, post):
    told.operator.enroll("PC-1")
    told.operator.uninstall("PC-1")
    for _ in range(2):
        told.notify()

    assert post.mails == []


def test_it_is_in_french_if_that_is_set(make_told, post):
    url = f"smtp://127.0.0.1:{post.port}"
    told = make_told(url, LEA_FLEET_MAIL_LANGUAGE="fr")
    let_fall_silent(told)
    told.notify()

    (mail,) = post.mails
    assert mail["Subject"] == "lea-fleet: 3 machines sont silencieuses"
    for text in texts(mail):
        assert "vue pour la dernière fois" in text
    assert '<html lang="fr">' in texts(mail)[1]


@pytest.mark.parametrize("personal", [False, True])
def test_it_names_people_only_if_that_is_set(make_told, post, personal):
    url = f"smtp://127.0.0.1:{post.port}"
    told = make_told(url, LEA_FLEET_WEBHOOK_PERSONAL=personal)
    told.operator.enroll("PC-9", user_name="Zoe <b>", user_email="zoe@example.com")
    let_fall_silent(told)

    told.notify()

    plain, html = texts(post.mails[0])
    assert ("PC-9, last" in plain) != personal
    assert ("Zoe <b>" in plain) == ("Zoe &lt;b&gt;" in html) == personal
    assert ("zoe@example.com" in plain) == personal


def test_every_message_that_is_mailed_has_its_words_in_both_languages():
    kinds = ALERTS.keys() | set(map(type_of_event, EVENTS)) | {"test"}
    # That event comes with the refused machines.
    assert MAILED - {"machine.token_reused"} <= kinds
    for kind in MAILED:
        for language in ("en", "fr"):
            for number in (1, 2):
                told = [
                    (kind, {"machine_id": f"PC-{each}"}, "2026-03-02T08:00:00")
                    for each in range(number)
                ]
                found = digest(told, language)
                assert found.subject.startswith("lea-fleet: ")
                assert "{" not in found.text + found.html
    english, french = (digest([(kind, {}, "")], each) for each in ("en", "fr"))
    assert english.subject != french.subject


def test_what_machines_say_is_harmless_in_it():
    data = {"machine_id": "<script>\x1b[2J\r\nBcc: x@example.com"}
    found = digest([("machine.silent", data, "2026-03-02T08:00:00+00:00")], "en")

    assert "<script>" not in found.html
    assert "\x1b" not in found.text + found.html
    assert "Bcc" not in found.subject
    assert len(found.text.splitlines()) == 2


def test_long_lists_are_cut_and_counted():
    told = [("machine.silent", {"machine_id": f"PC-{n}"}, "") for n in range(70)]

    found = digest(told, "en")

    assert found.subject == "lea-fleet: 70 machines are silent"
    assert "and 20 more" in found.text
    assert "PC-49" in found.text and "PC-50" not in found.text


def test_a_blocked_machine_that_tries_to_come_back_is_not_lost_in_a_roll_out():
    refused = {"code": "already_enrolled"}
    told = [
        ("machine.refused", {"machine_id": f"PC-{n}", **refused}, "") for n in range(70)
    ]
    stolen = {"machine_id": "STOLEN-1", "code": "machine_blocked"}

    english, french = (
        digest([*told, ("machine.refused", stolen, "")], each) for each in ("en", "fr")
    )

    expected = "lea-fleet: 1 blocked machine tried to enroll, 70 machines were refused"
    assert english.subject == expected
    assert "STOLEN-1" in english.text and "STOLEN-1" in french.html
    assert "1 machine bloquée a tenté de s’enrôler" in french.subject


def test_a_machine_with_several_messages_counts_once():
    told = [
        ("machine.refused", {"machine_id": name, "code": code}, "")
        for name in ("PC-1", "PC-2")
        for code in ("already_enrolled", "token_expired")
    ]
    unread = [("machine.refused", {"code": "invalid_field"}, "")]

    assert digest(told, "en").subject == "lea-fleet: 2 machines were refused"
    assert digest(told + unread, "en").subject == "lea-fleet: 3 machines were refused"


def test_a_muted_machine_is_in_no_mail(told, post):
    told.operator.enroll("PC-1")
    told.operator.post("/machines/PC-1/block", {})
    told.operator.post("/machines/PC-1/mute", {"for": "1d"})
    told.notify()

    assert post.mails == []


# The server


def test_a_server_that_fails_is_asked_again_and_the_mail_is_the_same(told, post):
    let_fall_silent(told)
    post.answer = "451 try again later"
    assert told.notify()[1] == 1
    post.answer = "250 OK"
    told.clock.advance(minutes=2)

    assert told.notify()[1] == 0
    assert len(post.mails) == 1
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.com>", post.mails[0]["Message-ID"])


def test_a_password_is_sent_to_this_computer_only_without_encryption(make_told):
    with post_office(auth_require_tls=False) as post:
        told = make_told(f"smtp://lea:p%40ss%2Fword@127.0.0.1:{post.port}")
        let_fall_silent(told)
        assert told.notify()[1] == 0
        assert post.logins == [(b"lea", b"p@ss/word")]
        assert len(post.mails) == 1


def test_a_password_is_sent_nowhere_else_without_encryption(make_told, monkeypatch):
    with post_office(auth_require_tls=False) as post:
        told = make_told(f"smtp://lea:p%40ss@127.0.0.1:{post.port}")
        monkeypatch.setattr(mails, "is_loopback", lambda host: False)
        let_fall_silent(told)

        assert told.notify()[1] == 1
        assert post.logins == post.mails == []


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """The context of a server whose certificate is trusted."""
    authority = trustme.CA()
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_a_connection_can_be_encrypted_from_the_beginning(make_told, certificate):
    # That server does not tell whether its own connection is encrypted.
    with post_office(ssl_context=certificate, auth_require_tls=False) as post:
        told = make_told(f"smtps://lea:p%40ss%2Fword@127.0.0.1:{post.port}")
        let_fall_silent(told)

        assert told.notify()[1] == 0
        assert post.logins == [(b"lea", b"p@ss/word")]
        assert len(post.mails) == 1


@pytest.mark.parametrize("is_trusted", [True, False])
def test_another_computer_is_told_by_starttls_if_it_is_trusted(
    make_told, certificate, monkeypatch, is_trusted
):
    monkeypatch.setattr(mails, "is_loopback", lambda host: False)
    if not is_trusted:
        monkeypatch.delenv("SSL_CERT_FILE")
    with post_office(tls_context=certificate) as post:  # which wants it for a login
        told = make_told(f"smtp://lea:p%40ss%2Fword@127.0.0.1:{post.port}")
        let_fall_silent(told)

        assert told.notify()[1] == (0 if is_trusted else 1)
        assert len(post.mails) == len(post.logins) == (1 if is_trusted else 0)


def test_a_server_that_is_not_there_is_a_fault(make_told):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        told = make_told(f"smtp://127.0.0.1:{taken.getsockname()[1]}")
        let_fall_silent(told)

        assert told.notify()[1] == 1


def test_a_reply_without_end_is_not_kept(make_told, monkeypatch):
    for module in (deadlines, mails):
        monkeypatch.setattr(module, "LONGEST_DELIVERY", 1)
    sent, lines = [], (b"220-" + b"x" * 8000 + b"\r\n") * 100
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            connection, _ = server.accept()
            connection.settimeout(10)
            with connection, suppress(OSError):  # given up
                while True:
                    sent.append(connection.send(lines))

        thread = threading.Thread(target=greet)
        thread.start()
        told = make_told(f"smtp://127.0.0.1:{server.getsockname()[1]}")
        let_fall_silent(told)
        assert told.notify()[1] == 1
        thread.join()

    # With what is on its way; without a bound it was 270 MB a second.
    assert sum(sent) < 30_000_000


def test_a_server_that_greets_byte_by_byte_is_given_up(make_told, monkeypatch):
    for module in (deadlines, mails):
        monkeypatch.setattr(module, "LONGEST_DELIVERY", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def greet():
            connection, _ = server.accept()
            with connection:
                while not over.wait(0.1):
                    try:
                        connection.send(b"2")
                    except OSError:
                        return

        thread = threading.Thread(target=greet)
        thread.start()
        told = make_told(f"smtp://127.0.0.1:{server.getsockname()[1]}")
        let_fall_silent(told)
        assert told.notify()[1] == 1
        over.set()
        thread.join()
