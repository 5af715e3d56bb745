"""The overview: what runs, what waits for whom, how everything stands, and what was of late."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import expect

from eomd.model import Role
from tests.system.console.conftest import Visit
from tests.system.console.site import ConsoleSite, open_console_site
from tests.system.console.steps import hand_in, value_of
from tests.system.console.visitor import GONE, NARROW, WIDE, Language, Theme
from tests.watched import another_server, server_of
from tests.world import wait_until, write_users

LARGEST = 1000
UNFINISHED = ("queued", "awaiting_approval", "running", "paused")


@pytest.fixture(scope="module")
def own_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    with open_console_site(
        tmp_path_factory.mktemp("overview"), f"[approval]\nlargest_amount = {LARGEST}"
    ) as opened:
        yield opened


@pytest.fixture(autouse=True)
def cleared(own_site: ConsoleSite) -> Iterator[None]:
    """Leave nothing behind that runs or waits."""
    yield
    for cluster in ("fish", "label"):
        own_site.set_cluster(cluster, rows_per_s=0, drain=False)
    for state in UNFINISHED:
        for each in own_site.client.get(f"/queryoperationsbyoperatorid?state={state}&page_size=200")["items"]:
            own_site.client.post(f"/operations/{each['id']}/cancel")
            own_site.client.wait_for_state(each["id"], "cancelled", "succeeded", "partial")


def hand_in_rows(site: ConsoleSite, folder: Path, rows: int, by: Role = Role.OPERATOR, **config: Any) -> int:
    return hand_in(site, write_users(folder / f"{rows}.csv", range(1, rows + 1)), by, **config)


def test_where_nothing_runs_there_is_a_way_to_begin(visit: Visit, own_site: ConsoleSite) -> None:
    page = visit(Role.VIEWER, at=own_site).open("/")
    running = page.get_by_role("region", name="Running now")
    expect(running).to_contain_text("Nothing runs at the moment.")
    expect(running.get_by_role("link")).to_have_count(0)
    page = visit(Role.OPERATOR, at=own_site).open("/")
    page.get_by_role("region", name="Running now").get_by_role("link", name="New operation").click()
    expect(page).to_have_url(f"{own_site.url}/console/new")


def test_a_running_operation_s_bar_moves_to_its_end(
    visit: Visit, own_site: ConsoleSite, tmp_path: Path
) -> None:
    own_site.set_cluster("fish", rows_per_s=1000)
    page = visit(Role.VIEWER, at=own_site).open("/")
    operation = hand_in_rows(own_site, tmp_path, 50_000, description="活动补偿")
    shown = page.get_by_role("region", name="Running now").locator(f"[data-operation='{operation}']")
    expect(shown).to_contain_text(f"Operation {operation}: 活动补偿")
    expect(shown).to_contain_text(re.compile(r"[\d,]+ of 50,000 rows.*rows/s.* left"))
    bar = shown.get_by_role("progressbar", name=f"Progress of operation {operation}")
    wait_until(lambda: value_of(bar) > 0, "the bar moves")
    seen = value_of(bar)
    wait_until(lambda: value_of(bar) > seen, "the bar moves on")
    own_site.set_cluster("fish", rows_per_s=0)
    expect(shown).to_have_count(0)


def test_each_is_shown_what_waits_for_whom(visit: Visit, own_site: ConsoleSite, tmp_path: Path) -> None:
    own_site.set_cluster("label", drain=True)
    parked = hand_in_rows(own_site, tmp_path, 10, Role.ADMIN, cluster="label")
    own_site.client.wait_for_state(parked, "paused")
    large = hand_in_rows(own_site, tmp_path, 11, mode="inc", amount=LARGEST + 1)

    page = visit(Role.OPERATOR, at=own_site).open("/")
    waiting = page.get_by_role("region", name="What waits for whom")
    expect(waiting.get_by_role("heading", level=3)).to_have_text(["Handed in by me 1", "Others 1"])
    mine = waiting.locator("[data-group='mine']")
    expect(mine).to_contain_text("Any approver but 李雷 may decide.")
    expect(mine).not_to_contain_text("You may decide.")
    expect(mine).to_contain_text(re.compile(r"Expires in \d+ hours\."))
    expect(mine).to_contain_text("1,001")
    expect(mine).to_contain_text("1,000")
    others = waiting.locator("[data-group='others']")
    expect(others).to_contain_text("Goes on by itself as soon as 标签集群 can be used.")
    expect(others).to_contain_text("paused · cluster not available")

    visitor = visit(Role.APPROVER, at=own_site)
    page = visitor.open("/")
    waiting = page.get_by_role("region", name="What waits for whom")
    expect(waiting.get_by_role("heading", level=3)).to_have_text(["Waits for my decision 1", "Others 1"])
    expect(waiting.locator("[data-group='forMe']")).to_contain_text("You may decide.")
    asking = visitor.context.request
    word = {"X-XSRF-Token": asking.get("/api/v1/session").json()["data"]["xsrf_token"]}
    decided = asking.post(f"/api/v1/operations/{large}/approve", data={"reason": "agreed"}, headers=word)
    assert decided.status == 200, decided.text()
    expect(waiting.get_by_role("heading", level=3)).to_have_text(["Others 1"])
    own_site.set_cluster("label", drain=False)
    expect(waiting).to_contain_text("Nothing waits.")


def test_a_dead_cluster_turns_its_light_and_comes_back(visit: Visit, own_site: ConsoleSite) -> None:
    overview = visit(Role.VIEWER, at=own_site).open("/")
    clusters = visit(Role.VIEWER, at=own_site).open("/console/clusters")
    light = overview.locator("[data-light='cluster label']")
    panel = clusters.locator("[data-cluster='label']")
    expect(light).to_contain_text(re.compile(r"标签集群\s*✓ up\s*since \d\d:\d\d:\d\d"))
    simulation = next(each for each in own_site.world.simulations if each.cluster == "label")
    simulation.kill()
    expect(light).to_contain_text(re.compile(r"✕ down\s*since \d\d:\d\d:\d\d"))
    # as the connections and as the probe see it
    expect(panel.locator("tbody [data-state='down']")).to_have_count(4)
    expect(panel.locator("tbody")).to_contain_text("refused")
    newest = overview.get_by_role("region", name="Newest incidents")
    expect(newest.locator("[data-kind='node_down'].open")).to_have_count(2)
    expect(newest).to_contain_text("Start the node.")
    simulation.restart()
    expect(light).to_contain_text("✓ up")
    expect(panel.locator("tbody [data-state='up']")).to_have_count(4)
    expect(newest.locator(".open")).to_have_count(0)
    expect(newest).to_contain_text("Uses the other nodes, and this one again once it is back.")
    over = clusters.get_by_role("list", name="Over")
    expect(over.locator("[data-kind='node_down']")).to_have_count(2)


def test_charts_are_loaded_when_they_come_into_sight(visit: Visit, own_site: ConsoleSite) -> None:
    visitor = visit(Role.VIEWER, width=NARROW, at=own_site)
    page = visitor.page
    page.set_viewport_size({"width": NARROW, "height": 300})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    visitor.open("/")
    expect(page.locator("[data-light='ledger']")).to_contain_text("up")
    assert not any("echarts" in url or "/activity" in url for url in asked)
    page.get_by_role("heading", name="The last hour").scroll_into_view_if_needed()
    expect(
        page.get_by_role("img", name=re.compile(r"Rows per second\. In the last 10 s [\d,.]+ rows.s"))
    ).to_be_visible()
    expect(page.locator("canvas")).to_have_count(2)
    assert any("echarts" in url for url in asked)
    table = page.get_by_role("region", name="Latency").get_by_role("row")
    expect(table).to_have_count(0)
    page.get_by_text("As a table").last.focus()
    page.keyboard.press("Enter")
    expect(table).to_have_count(361)


def test_a_killed_server_shows_as_a_break_and_the_bar_goes_on(
    visit: Visit, own_site: ConsoleSite, tmp_path: Path
) -> None:
    own_site.set_cluster("fish", rows_per_s=500)
    operation = hand_in_rows(own_site, tmp_path, 50_000)
    visitor = visit(Role.VIEWER, at=own_site)
    visitor.allow(GONE)
    page = visitor.open("/")
    shown = page.locator(f"[data-operation='{operation}']")
    bar = shown.get_by_role("progressbar")
    wait_until(lambda: value_of(bar) > 0, "the bar moves")
    before = server_of(own_site.world)
    assert own_site.world.server is not None
    watchdog = psutil.Process(own_site.world.server.process.pid)
    # nobody starts another one for a while
    watchdog.suspend()
    try:
        before.kill()
        expect(page.locator("[data-link='pausing']")).to_have_text("The server is coming back …")
        expect(page.locator("[data-link='lost']")).to_contain_text("Connection lost since")
        # what was known stays in sight
        expect(bar).to_be_visible()
    finally:
        watchdog.resume()
    another_server(own_site.world, before)
    expect(page.locator("[data-link]")).to_have_count(0)
    seen = value_of(bar)
    wait_until(lambda: value_of(bar) > seen, "the bar goes on")
    crash = page.get_by_role("region", name="Newest incidents").locator("[data-kind='server_crashed']").first
    expect(crash).to_contain_text("What was done")
    expect(crash).to_contain_text("server started: serving again after")


def test_it_is_used_by_keyboard_alone(visit: Visit, own_site: ConsoleSite, tmp_path: Path) -> None:
    own_site.set_cluster("label", drain=True)
    operation = hand_in_rows(own_site, tmp_path, 10, cluster="label", description="parked")
    page = visit(Role.OPERATOR, at=own_site).open("/")
    link = page.get_by_role("link", name=f"Operation {operation}: parked")
    expect(link).to_be_visible()
    reached: list[str] = []
    page.get_by_role("main").focus()
    while not link.evaluate("element => element === document.activeElement"):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
        assert len(reached) < 20, reached
    assert reached[:2] == ["New operation", "Clusters and health"]
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{own_site.url}/console/operations/{operation}")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_looks_as_it_should(
    visit: Visit, own_site: ConsoleSite, tmp_path: Path, language: Language, theme: Theme
) -> None:
    own_site.set_cluster("fish", rows_per_s=1000)
    own_site.set_cluster("label", drain=True)
    running = hand_in_rows(
        own_site, tmp_path, 100_000, description="给上周活动中掉线的玩家补偿积分之前的全量查询"
    )
    hand_in_rows(own_site, tmp_path, 20, mode="inc", amount=LARGEST + 1, description="Compensation")
    parked = hand_in_rows(own_site, tmp_path, 30, cluster="label")
    for width in (NARROW, WIDE, 2560):
        visitor = visit(Role.OPERATOR, language, theme, width, own_site)
        page = visitor.open("/")
        for operation in (running, parked):
            expect(page.locator(f"[data-operation='{operation}']")).to_be_visible()
        page.locator("#last-hour").scroll_into_view_if_needed()
        expect(page.locator("canvas")).to_have_count(2)
        page.evaluate("scrollTo(0, 0)")
        visitor.check_page()
        visitor.shoot("overview")
