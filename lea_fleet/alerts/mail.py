"""Mail: one digest for all messages of a run."""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate
from hashlib import sha256
from typing import IO
from urllib.parse import unquote, urlsplit

from ..app.setting_values import is_loopback
from ..app.settings import Settings
from ..core.text import scheme_and_host
from .channel import DeliveryFailed
from .deadline import LONGEST_DELIVERY, deadline
from .digest import MAILED, digest
from .messages import Content, Due

logger = logging.getLogger("lea_fleet")

_PORTS = {"smtp": 25, "smtps": 465}

#: Bytes of all replies of a mail server to one mail; there are some hundred.
_LONGEST_REPLIES = 1024 * 1024


class Mail:
    """The mail server; see :class:`lea_fleet.alerts.channel.Channel`."""

    name = "mail"
    most = 1000

    def __init__(self, settings: Settings, content: Content) -> None:
        self.place = f"mail by {scheme_and_host(settings.smtp_url)}"
        self._url = settings.smtp_url
        self._to = settings.mail_to
        self._from = settings.mail_from or settings.mail_to[0]
        self._language = settings.mail_language
        self._content = content

    def wants(self, due: Due) -> bool:
        return due.type in MAILED and not self._content.is_muted(due)

    def send(self, messages: Sequence[Due]) -> None:
        mail, opened = self._mail(messages), list[smtplib.SMTP]()
        try:
            with deadline(lambda: opened[-1].sock if opened else None):
                with self._connected(opened) as server:
                    self._sign_in(server)
                    refused = server.send_message(mail)
        except smtplib.SMTPResponseException as error:
            raise DeliveryFailed(
                f"the mail server answered {error.smtp_code}"
            ) from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            raise DeliveryFailed(
                f"the mail server refused the recipients ({codes[0]})"
            ) from None
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryFailed(_why(error)) from None
        if refused:  # not sent again: the others have it
            codes = sorted({code for code, _ in refused.values()})
            logger.warning(
                "The mail server refused %d of %d recipients (%s)",
                *(len(refused), len(self._to), codes[0]),
            )

    def _mail(self, messages: Sequence[Due]) -> EmailMessage:
        told = [(due.type, self._content.of(due), due.at) for due in messages]
        content = digest(told, self._language)
        mail = EmailMessage()
        mail["Subject"] = content.subject
        mail["From"] = self._from
        mail["To"] = ", ".join(self._to)
        mail["Date"] = formatdate()
        # The same if it is sent again, so that mail programs show it once.
        ids = " ".join(due.id for due in messages)
        domain = self._from.rpartition("@")[2]
        mail["Message-ID"] = f"<{sha256(ids.encode()).hexdigest()[:32]}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic replies
        mail.set_content(content.text)
        mail.add_alternative(content.html, subtype="html")
        return mail

    def _connected(self, opened: list[smtplib.SMTP]) -> smtplib.SMTP:
        parts = urlsplit(self._url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        kind = _Encrypted if parts.scheme == "smtps" else _Plain
        return kind(opened, host, port)

    def _sign_in(self, server: smtplib.SMTP) -> None:
        """Encrypt if the server offers it; send a password over nothing else."""
        parts = urlsplit(self._url)
        is_safe = parts.scheme == "smtps" or is_loopback(parts.hostname or "")
        server.ehlo()
        if not is_safe and server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
            is_safe = True
        if parts.username is None:
            return
        if not is_safe:
            raise DeliveryFailed(
                "the mail server offers no encryption for the password (STARTTLS)"
            )
        server.login(unquote(parts.username), unquote(parts.password or ""))


class _Replies:
    """The replies of a mail server: smtplib keeps all lines of one, however many."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._left = file, _LONGEST_REPLIES
        self.close = file.close

    def readline(self, most: int) -> bytes:
        line = self._file.readline(most)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("The replies are too long.")
        return line


class _Bounded(smtplib.SMTP):
    """A connection that reads no more than _LONGEST_REPLIES."""

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Replies(self.sock.makefile("rb"))
        return super().getreply()


class _Plain(_Bounded):
    """A connection that is among those *opened* before it is connected."""

    def __init__(self, opened: list[smtplib.SMTP], host: str, port: int) -> None:
        opened.append(self)
        super().__init__(host, port, timeout=LONGEST_DELIVERY)


class _Encrypted(_Bounded, smtplib.SMTP_SSL):
    """As :class:`_Plain`, encrypted from the beginning."""

    def __init__(self, opened: list[smtplib.SMTP], host: str, port: int) -> None:
        opened.append(self)
        context = ssl.create_default_context()
        super().__init__(host, port, timeout=LONGEST_DELIVERY, context=context)


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the mail server did not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return f"the mail server cannot be reached: {error.strerror}"
    return f"the mail server cannot be used ({type(error).__name__})"
