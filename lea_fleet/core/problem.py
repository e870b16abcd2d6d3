"""What an error response of the API consists of.

The body is ``application/problem+json`` (RFC 9457). ``code`` is stable, and
``action`` tells a program what to do next.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

Action = Literal["fix_request", "retry", "reenroll", "stop", "ask_operator"]


class Problem(Exception):
    """A request is refused; the base class of all error responses.

    *detail* is one sentence for a person; *members* are added to the body.
    It is not an HTTPException, so that a host's error pages do not replace it.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    action: ClassVar[Action]

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members

    def body(self) -> dict[str, Any]:
        """Return the members of the problem document."""
        return {
            "type": f"urn:lea-fleet:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "action": self.action,
            **self.members,
        }

    def headers(self) -> dict[str, str]:
        """Return the HTTP header fields that go with the problem."""
        return {}
