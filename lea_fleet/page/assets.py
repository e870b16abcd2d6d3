"""Read the page's HTML, script, style and icon files from the package."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path
from string import Template

from markupsafe import escape

_HERE = Path(__file__).parent

#: Media types. Not from ``mimetypes``, which depends on the Windows registry.
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
    """Return a digest of all files, which changes when one of them changes."""
    digest = blake2b(digest_size=8)
    for name, content in assets().items():
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def document(**values: str) -> str:
    """Return the page's HTML, with *values* escaped and inserted."""
    template = Template((_HERE / "page.html").read_text("utf-8"))
    return template.substitute({name: escape(values[name]) for name in values})
