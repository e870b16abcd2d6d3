"""The fleet with its change log switched off, for bare Flask logs no change."""

from __future__ import annotations

import logging

import lea_fleet


def create_app(config=None):
    logging.getLogger("lea_fleet").setLevel(logging.WARNING)
    return lea_fleet.create_app(config)
