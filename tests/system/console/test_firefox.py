"""An operator's way once more in Firefox, which playwright cannot drive as Debian has it; Marionette does."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from marionette_driver.by import By
from marionette_driver.errors import NoSuchElementException, StaleElementException
from marionette_driver.marionette import HTMLElement, Marionette

from eomd.model import Role
from tests.system.console.site import PASSWORD, ConsoleSite
from tests.system.console.visitor import RAW_KEY, SCREENSHOTS
from tests.world import wait_until

DATA = Path(__file__).parents[2] / "data"
T = TypeVar("T")

FIREFOX = "/usr/bin/firefox-esr"
PAGES = ("/", "/console/new", "/console/operations", "/console/operations/1", "/console/clusters",
         "/console/admin/users", "/console/admin/definitions", "/console/admin/audit")  # fmt: skip
#: in the language of its user, downloads beside the test, nothing asked or told elsewhere
PREFERENCES = {
    "intl.locale.requested": "zh-CN",
    "intl.accept_languages": "zh-CN,zh",
    "browser.download.folderList": 2,
    "browser.download.useDownloadDir": True,
    "browser.download.always_ask_before_handling_new_types": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


class Fox:
    """A Firefox in Chinese, and where it saves what it downloads."""

    def __init__(self, driver: Marionette, site: ConsoleSite, downloads: Path) -> None:
        self.driver, self.site, self.downloads = driver, site, downloads

    def open(self, address: str) -> None:
        self.driver.navigate(self.site.url + address)

    def find(self, selector: str) -> HTMLElement:
        """Return what is shown there, once it is."""

        def look() -> HTMLElement | None:
            found = self._now(lambda: self.driver.find_element(By.CSS_SELECTOR, selector))
            return found if found is not None and self._now(found.is_displayed) else None

        return wait_until(look, f"{selector} on {self.driver.get_url()}")

    def text(self, selector: str) -> str:
        return str(self.find(selector).text)

    def expect(self, selector: str, text: str) -> None:
        wait_until(lambda: text in (self._now(lambda: self.text(selector)) or ""), f"{text} in {selector}")

    def log_in(self, role: Role) -> None:
        self.open("/console/login")
        self.find("input[autocomplete=username]").send_keys(role.format())
        self.find("input[autocomplete=current-password]").send_keys(PASSWORD)
        self.find("form button[type=submit]").click()
        self.expect("h1", "总览")

    def shoot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        (SCREENSHOTS / f"firefox-{name}.png").write_bytes(self.driver.screenshot(format="binary"))

    @staticmethod
    def _now(ask: Callable[[], T]) -> T | None:
        """Return None where the page is just being drawn."""
        try:
            return ask()
        except (NoSuchElementException, StaleElementException):
            return None


@contextmanager
def open_firefox(site: ConsoleSite, folder: Path) -> Iterator[Fox]:
    downloads = folder / "downloads"
    downloads.mkdir()
    driver = Marionette(
        bin=FIREFOX,
        headless=True,
        gecko_log=str(folder / "firefox.log"),
        port=0,
        prefs={**PREFERENCES, "browser.download.dir": str(downloads)},
    )
    try:
        driver.start_session()
        yield Fox(driver, site, downloads)
    finally:
        driver.cleanup()
        driver.instance.runner.stop()


@pytest.fixture
def fox(site: ConsoleSite, tmp_path: Path) -> Iterator[Fox]:
    with open_firefox(site, tmp_path) as opened:
        yield opened


def test_an_operator_s_way_from_the_log_in_to_the_result_on_the_disk(
    fox: Fox, site: ConsoleSite, tmp_path: Path
) -> None:
    source = tmp_path / "玩家名单.csv"
    shutil.copy(DATA / "query-gb18030-carried.csv", source)
    fox.log_in(Role.OPERATOR)
    fox.open("/console/new")
    fox.driver.find_element(By.CSS_SELECTOR, "#new-file").send_keys(str(source))
    fox.expect("[data-fact=encoding]", "GB18030")
    fox.driver.execute_script(
        """const cluster = document.querySelector("#new-cluster");
        cluster.value = "fish"; cluster.dispatchEvent(new Event("change", {bubbles: true}));"""
    )
    fox.find("#new-eids").send_keys("1001\ue007")
    fox.expect(".sentence", "活动积分")
    fox.find("button.el-button--primary:not([disabled])").click()
    fox.expect("main .page-head [data-state=succeeded]", "成功")
    identity = int(fox.driver.get_url().rpartition("/")[2])
    fox.find("[data-file=result]").click()
    saved = fox.downloads / "玩家名单-result.csv"
    expected = site.client.download(site.client.operation(identity)["resultname"], query="")
    wait_until(lambda: saved.exists() and saved.stat().st_size == len(expected), "the download")
    assert saved.read_bytes() == expected


def test_every_page_stands_there_in_words(fox: Fox) -> None:
    fox.log_in(Role.ADMIN)
    for address in PAGES:
        fox.open(address)
        assert fox.text("h1")
        assert RAW_KEY.findall(fox.text("body")) == []
        fox.shoot(address.strip("/").replace("/", "-") or "overview")
