"""One run of ``flask fleet notify``: judge the fleet, and deliver what is due."""

from __future__ import annotations

from collections.abc import Iterator

from ..app.settings import Settings
from ..core import clock
from ..core.rows import Destination
from ..storage.destinations import Destinations
from ..storage.unit_of_work import UnitOfWork
from .channel import Channel, DeliveryFailed
from .delivery import Delivery, Outcome
from .judge import judge
from .mail import Mail
from .messages import Content, Due, Feed, test_message
from .webhook import Webhook


def channels(unit: UnitOfWork, settings: Settings) -> list[Channel]:
    """Return the channels that the settings name."""
    content = Content(unit, settings.webhook_personal, settings.reported_tags)
    found: list[Channel] = [
        Webhook(url, settings.webhook_secrets, content) for url in settings.webhook_urls
    ]
    return found + ([Mail(settings, content)] if settings.mail_to else [])


def destinations(
    unit: UnitOfWork, settings: Settings
) -> list[tuple[Channel, Destination | None]]:
    """Return the channels that the settings name, each with what was delivered there.

    That is None for one that :func:`notify` has never run for.
    """
    known = {each["destination"]: each for each in Destinations(unit).all()}
    return [(each, known.get(each.name)) for each in channels(unit, settings)]


def notify(unit: UnitOfWork, settings: Settings) -> Iterator[Outcome]:
    """Judge, deliver, and yield what came of each destination."""
    found = channels(unit, settings)
    # First: a new destination is told what this run finds.
    Destinations(unit).begin([each.name for each in found])
    judge(unit, settings)
    for each in found:
        yield Delivery(unit, each).run()


def send_test(unit: UnitOfWork, settings: Settings) -> Iterator[Outcome]:
    """Deliver a message that tells nothing to each destination, whatever waits."""
    due = test_message(clock.iso(clock.now()))
    for each in channels(unit, settings):
        try:
            each.send([due])
            yield Outcome(each.place, delivered=1)
        except DeliveryFailed as failed:
            yield Outcome(each.place, fault=str(failed))


def due(unit: UnitOfWork, settings: Settings) -> Iterator[tuple[str, list[Due]]]:
    """Judge, and yield what would be delivered where. Needs an open transaction."""
    found = channels(unit, settings)
    Destinations(unit).begin([each.name for each in found])
    judge(unit, settings)
    rows = {each["destination"]: each for each in Destinations(unit).all()}
    for channel in found:
        row = rows[channel.name]
        feed = Feed(unit).after(row["position"], row["alert_id"])
        yield channel.place, [each for each in feed if channel.wants(each)]
