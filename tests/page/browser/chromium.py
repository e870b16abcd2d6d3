"""Debian's headless Chromium, and checks that every test of a page makes."""

from __future__ import annotations

import shutil
from pathlib import Path

try:
    import axe_playwright_python.sync_playwright as axe
    from playwright.sync_api import expect, sync_playwright
except ImportError:
    axe = expect = sync_playwright = None

#: Where CI keeps the screenshots.
SCREENSHOTS = Path(__file__).parents[3] / ".screenshots"

_SETUP = Path(__file__).parent / "setup_browser.sh"

#: To run as root, and to connect to the page's own server only.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

#: What Chromium logs if a server refuses a request or is not running: without the
#: request, and maybe after the page has told its reader.
_REFUSED = "Failed to load resource"

#: Why a request failed that the page itself has ended.
_ENDED = "net::ERR_ABORTED"


def why_there_is_no_browser():
    """Return why the tests cannot run a browser on this machine, or None."""
    if sync_playwright is None:
        return f"Playwright or axe is not installed: run {_SETUP}"
    if shutil.which("chromium") is None:
        return f"there is no chromium: run {_SETUP}"
    return None


def launch(playwright):
    path = shutil.which("chromium")
    return playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))


class Tab:
    """A page of the browser that records its requests and the browser's complaints."""

    def __init__(self, browser, url, **options):
        options = {"locale": "en-GB", "timezone_id": "Europe/Paris", **options}
        self.context = browser.new_context(accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.url = url
        self.requests = []
        self.complaints = []
        self._refused = []
        self._excused = []
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("response", self._on_response)
        self.page.on("requestfailed", self._on_failure)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._on_console)

    def open(self, path="", token=None):
        """Open the page; with a *token*, sign in with it."""
        if token is not None:
            kept = f"sessionStorage.setItem('lea_fleet_token', '{token}')"
            self.page.add_init_script(kept)
        self.page.goto(self.url + path)
        return self.page

    def close(self):
        """Close the page; fail if it asked another server or complained."""
        self.context.close()
        origin = "/".join(self.url.split("/")[:3]) + "/"
        own = (origin, f"blob:{origin}")
        asked = [request.url for request in self.requests]
        assert [url for url in asked if not url.startswith(own)] == []
        assert self.complaints == []
        assert self._unexpected() == []

    def expect_refusals(self):
        """Excuse the requests sent until now; fail if none has been refused."""
        assert self._unexpected() != []
        # Those without a response too: a page may ask for several things at once.
        self._excused = list(self.requests)

    def _unexpected(self):
        return [each.url for each in self._refused if each not in self._excused]

    def _on_response(self, response):
        if response.status >= 400:
            self._refused.append(response.request)

    def _on_failure(self, request):
        if request.failure != _ENDED:
            self._refused.append(request)

    def _on_console(self, message):
        if message.type in ("error", "warning") and _REFUSED not in message.text:
            self.complaints.append(message.text)


def await_answer(page):
    """Wait until the page shows all that it has asked for to begin with."""
    expect(page.locator(".freshness")).to_contain_text("just now")


def faults(page):
    """Return what axe finds wrong with the page, each with its element."""
    # In the middle of an animation, half-transparent colors fail the contrast check.
    page.wait_for_load_state("networkidle")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['html']} {node.get('failureSummary')}"
        for fault in found
        for node in fault["nodes"]
    ]


def overflow(page):
    """Return how many pixels the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def shoot(page, name):
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
