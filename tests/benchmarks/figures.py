"""What the tables of the benchmark are made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """The sizes of the fleets, and how long to measure, in seconds."""

    machines: int = 100_000
    few: int = 1_000
    many: int = 1_000_000
    reporting: int = 10_000
    rounds: int = 5
    seconds: float = 2.0


@dataclass(frozen=True)
class Figure:
    """A line of the table; *bar* is ``>=`` or ``<=`` and a number, or empty."""

    name: str
    ours: str
    floor: str
    value: float
    unit: str = ""
    bar: str = ""

    @property
    def is_met(self):
        sign, _, limit = self.bar.partition(" ")
        if not limit:
            return True
        at_least = sign == ">="
        return self.value >= float(limit) if at_least else self.value <= float(limit)

    @property
    def cells(self):
        value = f"{self.value:.0f}" if self.unit else f"{self.value:.2f}"
        bar = self.bar and f"{self.bar}{self.unit}"
        return self.name, self.ours, self.floor, value + self.unit, bar
