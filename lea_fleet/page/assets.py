"""The files of the page, as they are in the package."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path
from string import Template

from markupsafe import escape

_HERE = Path(__file__).parent

#: What a browser is told. Not by ``mimetypes``, which goes by Windows' registry.
MIMETYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@cache
def assets() -> Mapping[str, bytes]:
    """Return the content of each file that the page loads, by its name."""
    return {
        path.name: path.read_bytes()
        for path in sorted((_HERE / "static").iterdir())
        if path.suffix in MIMETYPES
    }


@cache
def current_version() -> str:
    """Return what all the files are together: another one when one of them is."""
    digest = blake2b(digest_size=8)
    for name, content in assets().items():
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def document(**values: str) -> str:
    """Return the page itself, with *values* in the places that it has for them."""
    template = Template((_HERE / "page.html").read_text("utf-8"))
    return template.substitute({name: escape(values[name]) for name in values})
