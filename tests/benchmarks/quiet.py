"""The fleet without a line in the log for each change, which bare Flask has not."""

from __future__ import annotations

import logging

import lea_fleet


def create_app():
    logging.getLogger("lea_fleet").setLevel(logging.WARNING)
    return lea_fleet.create_app()
