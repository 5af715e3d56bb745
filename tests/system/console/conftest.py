"""Fixtures of the tests in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from eomd.model import Role
from tests.system.console.site import ConsoleSite, open_console_site
from tests.system.console.visitor import WIDE, Language, Theme, Visitor
from tests.world import write_users

#: Debian's
CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip
#: a machine that is busy with other tests is slow; pages are not
PATIENCE_MS = 60_000

Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    """The installation that tests share; who breaks something opens one of their own (open_console_site)."""
    with open_console_site(tmp_path_factory.mktemp("console")) as opened:
        yield opened


# not for the whole session: its event loop would be in the way of other tests' own
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, site: ConsoleSite) -> Iterator[Visit]:
    """Give a function that lets somebody of a role visit; without one, somebody who has not logged in."""
    visitors: list[Visitor] = []

    def make(
        role: Role | None = None,
        language: Language = "en",
        theme: Theme = "light",
        width: int = WIDE,
        at: ConsoleSite = site,
    ) -> Visitor:
        visitor = Visitor(browser, at, language, theme, width)
        visitor.page.set_default_timeout(PATIENCE_MS)
        visitors.append(visitor)
        return visitor if role is None else visitor.log_in(role)

    yield make
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Five users, without amounts."""
    return write_users(tmp_path / "players.csv", range(1, 6))
