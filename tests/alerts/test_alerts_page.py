"""``alerts.rst``: its receiver works, and it names every message."""

from __future__ import annotations

import time

import pytest
from docutils import nodes
from standardwebhooks import WebhookVerificationError

from lea_fleet.alerts.digest import MAILED
from lea_fleet.alerts.webhook import sign
from lea_fleet.core.alerts import ALERTS
from tests.support import docs

PAGE = docs.parse(docs.ROOT / "lea_fleet" / "docs" / "alerts.rst")


def test_the_receiver_of_the_page_verifies_what_we_sign(capsys):
    code, *_ = [
        block.astext()
        for block in PAGE.findall(nodes.literal_block)
        if "standardwebhooks" in block.astext()
    ]
    names = {"__name__": "receiver"}
    exec(code, names)
    secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    body = b'{"type": "machine.silent", "data": {"machine_id": "PC-1042"}}'
    at = str(int(time.time()))
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": at,
        "webhook-signature": sign(secret, f"msg_1.{at}.".encode() + body),
    }
    client = names["app"].test_client()

    assert client.post("/lea", data=body, headers=headers).status_code == 204
    assert capsys.readouterr().out == "machine.silent PC-1042\n"
    names["app"].testing = True
    with pytest.raises(WebhookVerificationError):
        client.post("/lea", data=body + b" ", headers=headers)


def test_the_page_names_every_alert_and_which_are_mailed():
    (table,) = PAGE.findall(nodes.table)
    rows = [
        [entry.astext() for entry in row.findall(nodes.entry)]
        for row in table.findall(nodes.row)
    ]
    kinds = {kind.rstrip(" *"): kind.endswith("*") for kind, _ in rows[1:]}

    assert ALERTS.keys() <= kinds.keys()
    assert {kind for kind, is_mailed in kinds.items() if is_mailed} == MAILED - {"test"}
