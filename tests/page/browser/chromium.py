"""Debian's Chromium without a screen, and what a page in it must never do."""

from __future__ import annotations

import shutil
from pathlib import Path

try:
    import axe_playwright_python.sync_playwright as axe
    from playwright.sync_api import expect, sync_playwright
except ImportError:
    axe = expect = sync_playwright = None

#: Where CI keeps what the pages looked like.
SCREENSHOTS = Path(__file__).parents[3] / ".screenshots"

_SETUP = Path(__file__).parent / "setup_browser.sh"

#: As root, and without a word to anybody but the page's own server.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

#: What Chromium itself writes where a server refuses, or is not there.
_REFUSED = "Failed to load resource"


def why_there_is_no_browser():
    """Return why no browser is to be had on this machine, or None."""
    if sync_playwright is None:
        return f"Playwright or axe is not installed: run {_SETUP}"
    if shutil.which("chromium") is None:
        return f"there is no chromium: run {_SETUP}"
    return None


def launch(playwright):
    path = shutil.which("chromium")
    return playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))


class Tab:
    """A page of the browser that notes what it asks for and complains about."""

    def __init__(self, browser, url, **options):
        options = {"locale": "en-GB", "timezone_id": "Europe/Paris", **options}
        self.context = browser.new_context(accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.url = url
        self.requests = []
        self.complaints = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._on_console)

    def open(self, path="", token=None):
        """Go to the page; with a *token*, signed in with it."""
        if token is not None:
            kept = f"sessionStorage.setItem('lea_fleet_token', '{token}')"
            self.page.add_init_script(kept)
        self.page.goto(self.url + path)
        return self.page

    def close(self):
        """Close it; nothing may have gone elsewhere or broken the policy."""
        self.context.close()
        origin = "/".join(self.url.split("/")[:3]) + "/"
        own = (origin, f"blob:{origin}")
        assert [url for url in self.requests if not url.startswith(own)] == []
        assert self.complaints == []

    def _on_console(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def expect_refusals(self):
        """Take out what Chromium wrote about refused requests: one at least."""
        others = [text for text in self.complaints if _REFUSED not in text]
        assert len(others) < len(self.complaints)
        self.complaints[:] = others


def faults(page):
    """Return what axe finds wrong with what is shown, each with where it is."""
    # Half-transparent, in the middle of an animation, no colour is what it will be.
    page.wait_for_load_state("networkidle")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['html']} {node.get('failureSummary')}"
        for fault in found
        for node in fault["nodes"]
    ]


def overflow(page):
    """Return by how many pixels the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def shoot(page, name):
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
