"""Somebody in front of a browser, and everything that the browser complains of meanwhile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from eomd.model import Role
from tests.system.console.site import PASSWORD, ConsoleSite

ROOT = Path(__file__).parents[3]
SCREENSHOTS = ROOT / ".cache/screenshots"
DATA = ROOT / "tests/data"
AXE = ROOT / "web/node_modules/axe-core/axe.min.js"

Language = Literal["en", "zh"]
Theme = Literal["light", "dark"]
LOCALES = {"en": "en-GB", "zh": "zh-CN"}
NARROW, WIDE = 360, 1280

#: what a browser says where the server goes away
GONE = r"ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_NETWORK|status of 50[0-9]"
#: that nobody is logged in is told by a 401, which Chromium writes down as an error
_LOGGED_OUT = re.compile(r"status of 401.* at \S+/api/v1/session\b")
#: a text's name in the place of the text: shell.skip
RAW_KEY = re.compile(
    r"\b(?:admin|clusters|errors|history|logIn|newOperation|operation|overview|parts|reasons|shell|words)\.[a-z]\w+"
)


class Visitor:
    """A browser of one's own: cookies, language, theme, width. `close` fails on what was complained of."""

    def __init__(
        self, browser: Browser, site: ConsoleSite, language: Language, theme: Theme, width: int
    ) -> None:
        self.site, self.language, self.theme, self.width = site, language, theme, width
        self.context = browser.new_context(
            base_url=site.url,
            locale=LOCALES[language],
            timezone_id="Asia/Shanghai",
            color_scheme=theme,
            viewport={"width": width, "height": 800},
        )
        self.page: Page = self.context.new_page()
        self._complaints: list[str] = []
        self._allowed = [_LOGGED_OUT]
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self._complaints.append(f"uncaught: {error}"))
        self.page.on("request", self._look)

    def log_in(self, role: Role) -> Visitor:
        """Log in beside the page, as fast as that goes: as the one who is named by their role."""
        return self.log_in_as(role.format())

    def log_in_as(self, name: str) -> Visitor:
        data = {"name": name, "password": PASSWORD}
        answer = self.context.request.post("/api/v1/session", data=data)
        assert answer.status == 201, answer.text()
        return self

    def open(self, address: str = "/") -> Page:
        """Go there, and wait until the page shows its heading."""
        self.page.goto(address)
        self.page.locator("h1").first.wait_for()
        return self.page

    def allow(self, complaint: str) -> None:
        """Say which complaint of the browser is meant to come: a regular expression."""
        self._allowed.append(re.compile(complaint))

    @property
    def complaints(self) -> list[str]:
        return [
            each for each in self._complaints if not any(allowed.search(each) for allowed in self._allowed)
        ]

    def close(self) -> None:
        self.context.close()
        assert self.complaints == [], self.complaints

    # --- looking at the page

    def shoot(self, name: str) -> Path:
        """Take a picture of the whole page: .cache/screenshots/NAME-LANGUAGE-THEME-WIDTH.png."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}-{self.language}-{self.theme}-{self.width}.png"
        self.page.screenshot(path=path, full_page=True)
        return path

    def check_page(self) -> None:
        """Fail on texts that are missing, on what is wider than the screen, on what axe finds serious."""
        text = self.page.locator("body").inner_text()
        assert RAW_KEY.findall(text) == []
        width, wide = self.page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
        assert wide <= width, f"{wide} px of {width}: {self._too_wide()}"
        assert self.find_barriers() == []

    def find_barriers(self) -> list[str]:
        """Return what axe finds serious or critical, with the elements."""
        # evaluated, not added as a script: the policy would refuse that
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: Any = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{violation['id']}: {node['html']} {node['failureSummary']}"
            for violation in found["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]

    def _too_wide(self) -> list[str]:
        script = """[...document.querySelectorAll('body *')]
            .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
            .slice(0, 5).map((e) => e.outerHTML.slice(0, 120))"""
        found: list[str] = self.page.evaluate(script)
        return found

    # --- what the browser says

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complaints.append(f"{message.text} at {message.location['url']}")

    def _look(self, request: Request) -> None:
        if not request.url.startswith((self.site.url, "data:", "blob:")):
            self._complaints.append(f"asked elsewhere: {request.url}")
