"""Who is calling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["operator", "agent", "departed"]


@dataclass(frozen=True)
class Principal:
    """The caller that a valid credential stands for.

    *role* is ``operator``, ``agent``, or ``departed``: an agent whose machine
    has been uninstalled, still holding the token of that enrolment. A departed
    agent may repeat its uninstall and nothing else. *machine_id* is the
    agent's own; an operator has none.
    """

    role: Role
    machine_id: str | None = None

    @property
    def is_operator(self) -> bool:
        return self.role == "operator"
