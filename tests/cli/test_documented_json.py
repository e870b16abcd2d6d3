"""The page of the commands names each member of the JSON that a command prints."""

from __future__ import annotations

import json

import pytest

from tests.support import docs

#: What each command is typed with; ``enroll`` first, and what takes away last.
COMMANDS = {
    "enroll": "PC-NEW",
    "list": "",
    "show": "PC-1",
    "events": "PC-1",
    "edit": "PC-1 --version 2",
    "release": "PC-1",
    "rotate": "PC-1",
    "cut-off": "PC-1",
    "uninstall": "PC-1",
    "import": "machines.csv --yes",
    "prune": "--silent-for 1s",
    "erase": "PC-1 --yes",
    "export": "--user zoe@example.com",
    "token create": "",
    "token list": "",
    "token revoke": "1",
    "operator create": "Nadia --role viewer",
    "operator list": "",
    "operator revoke": "1",
    "view create": "Stale",
    "view list": "",
    "view delete": "1",
    "installer": "kit --url https://rpa.example.com",
    "doctor": "",
    "schema": "--sql",
}

#: Where the API lists the records that a command's section refers to.
KINDS = {"operator": "operators", "token": "enrollment-tokens", "view": "views"}


@pytest.fixture(scope="module")
def sections():
    return docs.subsections(docs.parse(docs.COMMANDS))


@pytest.fixture
def check(sections, run, operator, tmp_path, monkeypatch):
    """Compare what a command prints, typed with *words*, with the page."""
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("machines.csv").write_text("machine_id\nPC-8\nPC-9\n")
    operator.enroll("PC-1", user_email="zoe@example.com")
    operator.installer()
    operator.post("/operators", {"name": "Nadia", "role": "viewer"})
    for name in ("Gone", "Silent"):
        operator.post("/views", {"name": name, "shared": True})

    def check(name, words):
        printed = json.loads(run(*name.split(), *words.split(), "--json").stdout)
        (kind,) = [KINDS[word] for word in KINDS if name.startswith(word)] or ["views"]
        (record,) = operator.get(f"/{kind}").json[kind.replace("-", "_")][:1]
        refers = "its record" in sections[f"flask fleet {name}"].astext()
        for member in printed.keys() - (record.keys() if refers else set()):
            assert member in docs.literals(sections[f"flask fleet {name}"])

    return check


@pytest.mark.parametrize("name", COMMANDS)
def test_each_member_of_a_commands_json_is_named(check, name):
    check(name, COMMANDS[name])


@pytest.mark.sqlite
def test_each_member_of_a_backups_json_is_named(check):
    check("backup", "copy.db")
