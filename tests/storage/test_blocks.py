"""A block and an enrollment of an id that looks alike, at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lea_fleet import Problem
from lea_fleet.app.database import get_host_repository
from lea_fleet.storage.imports import Imports


@pytest.fixture
def begun(app, operator):
    """The application, with the tables made."""
    operator.get("/fleet")
    return app


def enrolled(repository):
    with repository.transaction(about="pc-1"):
        repository.enroll("pc-1")
        yield
    yield


def enrolled_again(repository):
    repository.enroll("pc-1")
    repository.uninstall("pc-1")
    yield from enrolled(repository)


def imported(repository):
    imports = Imports(repository.unit)
    with imports.transaction(["pc-1"]):
        imports.add("pc-1", {})
        yield
    yield


def wait_until_it_blocks(engine, session):
    if engine.name == "postgresql":  # SQLite's other writers only ask now and then
        engine.wait_until_it_blocks(session)


@pytest.mark.parametrize("way", [enrolled, enrolled_again, imported])
def test_a_block_waits_for_it_and_uninstalls_the_machine(begun, make_app, engine, way):
    def block():
        with make_app().app_context():
            return get_host_repository().states.block("PC-1")

    with begun.app_context(), ThreadPoolExecutor() as pool:
        repository = get_host_repository()
        steps = way(repository)
        next(steps)
        blocking = pool.submit(block)
        wait_until_it_blocks(engine, repository.unit.session)
        next(steps)

        assert blocking.result(60).uninstalled == ["pc-1"]


@pytest.mark.parametrize("way", [enrolled, enrolled_again, imported])
def test_it_waits_for_a_block_and_is_refused(begun, make_app, engine, way):
    def enroll():
        with make_app().app_context():
            steps = way(get_host_repository())
            with pytest.raises(Problem) as refusal:
                [*steps]
            return refusal.value.code

    with begun.app_context(), ThreadPoolExecutor() as pool:
        repository = get_host_repository()
        if way is enrolled_again:
            repository.enroll("pc-1")
            repository.uninstall("pc-1")
        with repository.transaction():
            repository.states.block("PC-1")
            enrolling = pool.submit(enroll)
            wait_until_it_blocks(engine, repository.unit.session)

        assert enrolling.result(60) == "machine_blocked"
