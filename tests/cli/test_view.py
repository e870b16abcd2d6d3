"""``flask fleet view …`` and ``flask fleet list --view``: shared views in a shell."""

from __future__ import annotations

import json

import pytest

from lea_fleet.core.views import USUAL_COLUMNS
from tests.support.api import Api

pytestmark = pytest.mark.usefixtures("begun")


@pytest.fixture
def fleet(operator, the_clock):
    """Two machines that are online and one that is stale, uninstalled or not."""
    operator.enroll("PC-OLD", version="1.0")
    operator.enroll("PC-GONE", version="1.0")
    operator.uninstall("PC-GONE")
    the_clock.advance(days=20)
    for name, version in ("PC-1", "1.0"), ("PC-2", "2.0"):
        operator.enroll(name, version=version)


@pytest.fixture
def save(operator):
    def make(name="Silent", **members):
        body = {"name": name, "shared": True, **members}
        response = operator.post("/views", body)
        assert response.status_code == 201, response.text
        return response.json

    return make


def views(operator):
    return operator.get("/views").json["views"]


def did(run, *words):
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


# Saved


def test_a_view_that_a_command_saves_is_shared(run, operator, the_clock):
    filters = "silent_for=14d&presence=stale&sort=machine_id"
    columns = "machine_id, hostname"
    said = did(
        run, "view", "create", "Gone", "--filters", filters, "--columns", columns
    )

    assert said == "View 1, Gone: saved\n"
    (saved,) = views(operator)
    assert saved["shared"] and saved["own"] and saved["owner"] is None
    assert saved["filters"] == "presence=stale&silent_for=14d&sort=machine_id"
    assert saved["columns"] == ["machine_id", "hostname"]


def test_json_has_the_record(run, operator):
    made = json.loads(did(run, "view", "create", "Zoé", "--json"))

    assert made["name"] == "Zoé" and made["columns"] == [*USUAL_COLUMNS]
    assert json.loads(did(run, "view", "list", "--json")) == {"views": [made]}
    (seen,) = views(operator)
    assert made == {**{n: v for n, v in seen.items() if n != "own"}}
    assert json.loads(did(run, "view", "delete", "1", "--json")) == made
    assert views(operator) == []


def test_a_dry_run_changes_nothing(run, operator, save, engine):
    save()
    before = engine.contents()
    for words in (["create", "Gone"], ["delete", "1"]):
        for more in ([], ["--json"]):
            said = did(run, "view", *words, "--dry-run", *more)
            assert "dry_run" in said if more else "nothing was changed" in said
    assert engine.contents() == before


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "Missing argument 'NAME'"),
        ([""], "must not be blank"),
        (["x" * 65], "1 to 64 characters"),
        (["a\x1b[2J"], "no control characters"),
        (["\u202egpj.exe"], "no control characters"),
        (["\udce9"], "NAME"),
        (["A", "--filters", "color=red"], "color, which is no filter"),
        (["A", "--filters", "\x1b[2J=red"], "which is no filter"),
        (["A", "--filters", "presence=asleep"], "presence must be"),
        (["A", "--filters", "limit=5"], "limit, which is no filter"),
        (["A", "--filters", "q=" + "x" * 2000], "2000 characters"),
        (["A", "--columns", "id"], "must be some of machine_id"),
        (["A", "--columns", ""], "must be some of machine_id"),
        (["A", "--columns", "version,version"], "different from one another"),
    ],
)
def test_what_it_may_not_be(run, operator, words, complaint):
    result = run("view", "create", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in " ".join(result.stderr.split())
    assert "\x1b" not in result.stderr and "\u202e" not in result.stderr
    assert views(operator) == []


def test_a_name_that_is_taken_is_one_line(run, save):
    save("Silent")

    result = run("view", "create", "SILENT")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: A shared view has this name already.\n"


def test_one_that_is_not_there_is_not_deleted(run):
    result = run("view", "delete", "7")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "There is no view 7. List them with: flask fleet view list" in result.stderr


# Listed


def test_private_views_are_listed_only_if_asked_for(run, operator, save):
    made = operator.post("/operators", {"name": "Nadia", "role": "viewer"}).json
    Api(operator.client, made["token"]).post("/views", {"name": "Own"})
    save("Silent", filters="presence=stale")

    lines = did(run, "view", "list").splitlines()
    assert lines[0].split() == ["ID", "NAME", "OF", "CHANGED", "FILTERS"]
    assert [line.split()[:3] for line in lines[1:]] == [["2", "Silent", "-"]]
    assert lines[1].endswith("presence=stale")
    every = did(run, "view", "list", "--all")
    assert "Own" in every and "Nadia, private" in every
    assert did(run, "view", "delete", "1") == "View 1, Own: deleted\n"


def test_where_there_are_none_it_says_so(run):
    assert "No saved views." in did(run, "view", "list")


def test_what_was_stored_otherwise_moves_no_cursor(run, save, engine):
    """By an older version, or by hand: names that are not accepted now."""
    save("A")
    engine.execute("UPDATE lea_fleet_views SET name = 'a\x1b[2J', owner = 'user:\x1b'")
    engine.execute("UPDATE lea_fleet_views SET filters = '\x1b[2J=1'")

    for words in (["list"], ["list", "--all"], ["list", "--json"], ["delete", "1"]):
        result = run("view", *words)
        assert result.exit_code == 0
        assert result.output.replace("\n", "").isprintable()


# Used


def listed(run, *words):
    told = json.loads(did(run, "list", "--json", *words))
    return [each["machine_id"] for each in told["agents"]]


def test_a_list_uses_a_views_filters_and_order(run, fleet, save):
    save("By version", filters="version=1.0&sort=machine_id")

    assert listed(run, "--view", "By version") == ["PC-1", "PC-OLD", "PC-GONE"]
    assert listed(run, "--view", "BY VERSION") == ["PC-1", "PC-OLD", "PC-GONE"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--version", "2.0"], ["PC-2"]),
        (["--sort", "-machine_id"], ["PC-OLD", "PC-1", "PC-GONE"]),
        (["--status", "active"], ["PC-1", "PC-OLD"]),
        (["--status", "uninstalled"], ["PC-GONE"]),
        (["--presence", "stale"], ["PC-OLD"]),
        (["--silent-for", "14d"], ["PC-OLD", "PC-GONE"]),
        (["--not-blocked", "--limit", "1"], ["PC-1"]),
        (["-q", "old"], ["PC-OLD"]),
    ],
)
def test_what_is_given_wins_over_the_view_and_is_added_to_it(
    run, fleet, save, words, expected
):
    save("By version", filters="version=1.0&sort=machine_id")

    assert listed(run, "--view", "By version", *words) == expected


def test_the_status_of_a_view_counts_unless_another_one_is_given(run, fleet, save):
    save("Gone", filters="status=uninstalled")

    assert listed(run, "--view", "Gone") == ["PC-GONE"]
    assert len(listed(run, "--view", "Gone", "--status", "all")) == 4
    assert "PC-GONE" in did(run, "list", "--view", "Gone")
    assert "PC-GONE" in did(run, "list", "--view", "Gone", "--csv")


def test_a_private_view_is_none_to_a_list(run, save):
    save("Own", shared=False)

    result = run("list", "--view", "Own")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "No shared view has the name Own" in result.stderr


def test_a_view_that_is_not_valid_any_more_lists_nothing(run, fleet, save, engine):
    save("Old")
    engine.execute("UPDATE lea_fleet_views SET filters = 'color=red'")

    result = run("list", "--view", "Old")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "The view Old: filters has color, which is no filter" in result.stderr
    assert "which is no filter" in did(run, "view", "list")


# Erased


EMAIL = "zoe@example.com"


@pytest.fixture
def about_zoe(app, operator, save):
    """Views that name her, one of each kind, and others that do not."""
    made = operator.post("/operators", {"name": "Nadia", "role": "viewer"}).json
    nadia = Api(operator.client, made["token"])
    nadia.post("/views", {"name": "Own", "filters": "q=ZOE%40example.com"})
    save(f"PCs of {EMAIL}")
    save("Two", filters=f"q={EMAIL}+bob%40example.com")
    save("Others", filters="q=x.zoe%40example.com")
    loader = app.extensions["lea_fleet"]
    for user in (EMAIL, "bob@example.com"):
        loader.operator_loader = lambda: user
        for shared in (True, False):
            sent = {"name": f"{user[:3]} {shared}", "shared": shared}
            headers = {"Sec-Fetch-Site": "same-origin"}
            Api(operator.client).post("/views", sent, headers=headers)
    loader.operator_loader = lambda: None


def test_erasing_a_person_erases_the_views_that_name_them(
    run, operator, about_zoe, engine
):
    assert len(engine.execute("SELECT id FROM lea_fleet_views")) == 8
    did(run, "erase", "--user", EMAIL, "--yes")

    rows = engine.execute("SELECT owner, name FROM lea_fleet_views ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("", "Others"),
        ("", "zoe True"),
        ("user:bob@example.com", "bob True"),
        ("user:bob@example.com", "bob False"),
    ]
    assert run("export", "--user", EMAIL).exit_code == 1


def test_an_export_has_the_views_that_name_a_person_or_are_theirs(run, about_zoe):
    told = json.loads(did(run, "export", "--user", EMAIL))["views"]

    assert {each["name"] for each in told} == {
        "Own",
        f"PCs of {EMAIL}",
        "Two",
        "zoe True",
        "zoe False",
    }
    by_name = {each["name"]: each for each in told}
    assert by_name["Two"]["filters"] == {"q": EMAIL}
    assert by_name["zoe False"]["made_by_them"] and not by_name["Two"]["made_by_them"]
    assert "bob" not in json.dumps(told)
