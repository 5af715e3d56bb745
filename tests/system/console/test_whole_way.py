"""The whole way of a job through the page alone, from the log-in on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from eomd.model import Role
from tests.system.console.conftest import Visit
from tests.system.console.site import ConsoleSite, open_console_site
from tests.system.console.steps import (
    carry_out,
    choose,
    describe_modify,
    fill_in_log_in,
    hand_in,
    make_plan,
    operation_of,
    pick,
    value_of,
)
from tests.system.console.visitor import DATA
from tests.world import wait_until, write_users

USERS = range(100_000_000, 100_000_100)
#: over it a second person is needed
LARGEST = 1000


@pytest.fixture(scope="module")
def own_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    """A site whose pace is this module's alone, and where large amounts need a second person."""
    with open_console_site(
        tmp_path_factory.mktemp("whole"), f"[approval]\nlargest_amount = {LARGEST}"
    ) as opened:
        yield opened


def log_in(visit: Visit, site: ConsoleSite, role: Role, address: str) -> Page:
    """Have somebody log in on the page, on their way to an address."""
    page = visit(at=site).page
    page.goto(address)
    fill_in_log_in(page, role.format())
    page.wait_for_url(f"**{address}")
    return page


def expect_state(page: Page, wanted: str) -> None:
    expect(page.locator("main .page-head [data-state]")).to_have_attribute("data-state", wanted)


def counters(site: ConsoleSite, folder: Path) -> list[int]:
    asked = hand_in(site, write_users(folder / "asked.csv", USERS), wait_s=60)
    rows: list[Any] = site.client.get(f"/operations/{asked}/rows?limit=1000")["rows"]
    return [int(row[-1]) for row in rows]


def test_a_query_from_the_log_in_to_the_file_on_disk(
    own_site: ConsoleSite, visit: Visit, tmp_path: Path
) -> None:
    source = tmp_path / "玩家名单.csv"
    shutil.copy(DATA / "query-gb18030-carried.csv", source)
    own_site.set_cluster("fish", rows_per_s=10)
    page = log_in(visit, own_site, Role.OPERATOR, "/console/new")
    choose(page, source)
    expect(page.locator('[data-fact="columns"]')).to_have_text("用户ID · 昵称")
    page.get_by_label("Cluster").select_option("fish")
    pick(page, "积分")
    page.get_by_role("button", name="Start").click()
    identity = operation_of(page)
    bar = page.get_by_role("progressbar")
    wait_until(lambda: 0 < value_of(bar) < 100, "progress on the page")
    own_site.set_cluster("fish", rows_per_s=0)
    expect(bar).to_have_attribute("aria-valuenow", "100")
    expect_state(page, "succeeded")
    with page.expect_download() as downloading:
        page.locator("[data-file=result]").click()
    assert downloading.value.suggested_filename == "玩家名单-result.csv"
    result = own_site.client.operation(identity)["resultname"]
    on_disk = downloading.value.path().read_bytes()
    assert on_disk == own_site.client.download(result, query="")
    assert on_disk.decode("utf-8-sig").startswith("用户ID,昵称,status,detail,1001\n100000000,张三,OK,,")


def test_a_modify_with_its_plan_a_second_person_and_an_undo(
    own_site: ConsoleSite, visit: Visit, tmp_path: Path
) -> None:
    before = counters(own_site, tmp_path)
    mine = log_in(visit, own_site, Role.OPERATOR, "/console/new")
    describe_modify(mine, write_users(tmp_path / "补偿.csv", USERS), "increase", str(2 * LARGEST))
    make_plan(mine)
    expect(mine.locator('[data-count="change"] dd')).to_have_text("100")
    expect(mine.get_by_text("In all")).to_contain_text("In all 200,000 more and 0 less.")
    carry_out(mine).click()
    identity = operation_of(mine)
    expect_state(mine, "awaiting_approval")
    assert counters(own_site, tmp_path) == before
    theirs = log_in(visit, own_site, Role.APPROVER, f"/console/operations/{identity}")
    approve(theirs)
    expect_state(mine, "succeeded")
    assert counters(own_site, tmp_path) == [value + 2 * LARGEST for value in before]
    mine.locator("[data-action=undo]").click()
    plan = operation_of(mine, identity)
    expect(mine.get_by_role("heading", name="Plan of the undo")).to_be_visible()
    mine.get_by_role("button", name="Give back 100 rows").click()
    undo = operation_of(mine, plan)
    # what it gives back is as large
    expect_state(mine, "awaiting_approval")
    theirs.goto(f"/console/operations/{undo}")
    approve(theirs)
    expect_state(mine, "succeeded")
    assert counters(own_site, tmp_path) == before


def approve(page: Page) -> None:
    panel = page.get_by_role("region", name="A second person")
    expect(panel.locator("[data-count=change]")).to_contain_text("100")
    panel.get_by_label("Reason").fill("agreed with customer service")
    panel.locator("[data-action=approve]").click()
