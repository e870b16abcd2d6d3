"""The fleet without its change log, since bare Flask logs no changes either."""

from __future__ import annotations

import logging

import lea_fleet


def create_app(config=None):
    logging.getLogger("lea_fleet").setLevel(logging.WARNING)
    return lea_fleet.create_app(config)
