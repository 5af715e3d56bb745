"""Clusters and health: nodes, what an admin may change, the parts beside them, incidents, the diary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, Route, expect

from eomd.model import Role
from tests.system.console.conftest import Visit
from tests.system.console.site import ConsoleSite, open_console_site
from tests.system.console.steps import add_user
from tests.system.console.visitor import GONE, NARROW, WIDE, Language, Theme
from tests.watched import another_server, server_of
from tests.world import wait_until, write_users

ADDRESS = "/console/clusters"


@pytest.fixture(scope="module")
def own_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    with open_console_site(tmp_path_factory.mktemp("clusters"), "[inbox]\nenabled = true") as opened:
        yield opened


@pytest.fixture(autouse=True)
def cleared(own_site: ConsoleSite) -> Iterator[None]:
    yield
    for cluster in ("fish", "label"):
        own_site.set_cluster(cluster, rows_per_s=0, drain=False)


def cluster_of(site: ConsoleSite, name: str) -> dict[str, object]:
    return next(cluster for cluster in site.client.get("/clusters") if cluster["name"] == name)


def answer_dialog(page: Page, title: str, answer: str) -> None:
    dialog = page.get_by_role("dialog", name=title)
    dialog.get_by_role("button", name=answer, exact=True).click()
    expect(dialog).to_be_hidden()


def test_each_node_is_shown_as_connections_and_probe_see_it(visit: Visit, own_site: ConsoleSite) -> None:
    page = visit(Role.VIEWER, at=own_site).open(ADDRESS)
    panel = page.locator("[data-cluster='fish']")
    nodes = panel.get_by_role("row")
    expect(nodes).to_have_count(3)
    expect(nodes.nth(1)).to_contain_text("fish-a")
    expect(nodes.nth(1).locator("[data-state='up']")).to_have_count(2)
    expect(nodes.nth(1)).to_contain_text("4 of 4")
    expect(nodes.nth(1)).to_contain_text("IDEMPOTENT")
    expect(panel).to_contain_text("as fast as it goes")
    # who only looks changes nothing
    expect(page.get_by_role("switch")).to_have_count(0)
    expect(page.get_by_role("textbox")).to_have_count(0)


def test_a_node_s_latency_is_drawn_and_said(visit: Visit, own_site: ConsoleSite, tmp_path: Path) -> None:
    source = write_users(tmp_path / "users.csv", range(1, 2001))
    assert own_site.client.hand_in(source, wait_s=60).data["state"] == "succeeded"
    page = visit(Role.VIEWER, at=own_site).open(ADDRESS)
    said = re.compile(r"Latency of 127\.0\.0\.1:\d+ in the last hour: at last [\d.]+ ms, at most [\d.]+ ms")
    # a step is told of once it is over, and asked for every 10 s
    expect(page.locator("[data-cluster='fish']").get_by_role("img", name=said).first).to_be_visible()


def test_draining_asks_first_parks_and_lets_go_by_keyboard_alone(
    visit: Visit, own_site: ConsoleSite, tmp_path: Path
) -> None:
    own_site.set_cluster("label", rows_per_s=500)
    source = write_users(tmp_path / "users.csv", range(1, 50_001))
    operation = own_site.client.hand_in(source, cluster="label").data["id"]
    own_site.client.wait_for_state(operation, "running")
    page = visit(Role.ADMIN, at=own_site).open(ADDRESS)
    switch = page.get_by_role("switch", name="Drain 标签集群")
    panel = page.locator("[data-cluster='label']")
    state, told = panel.locator("> .top"), panel.locator("[data-drained]")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(told).to_have_text("not drained")
    switch.focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("dialog", name="Drain 标签集群?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(switch).to_be_focused()
    assert cluster_of(own_site, "label")["drain"] is False

    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Drain", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(switch).to_have_attribute("aria-checked", "true")
    expect(told).to_have_text("drained")
    expect(state).to_contain_text("drained")
    own_site.client.wait_for_state(operation, "paused")

    switch.focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Take back")).to_be_focused()
    page.keyboard.press("Enter")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(state).to_contain_text("up")
    own_site.client.wait_for_state(operation, "running")
    own_site.client.post(f"/operations/{operation}/cancel")
    own_site.client.wait_for_state(operation, "cancelled")


def test_a_question_goes_with_its_page(visit: Visit, own_site: ConsoleSite) -> None:
    page = visit(Role.ADMIN, at=own_site).open("/")
    page.get_by_role("link", name="Clusters", exact=True).click()
    page.get_by_role("switch").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_cluster_s_speed_is_set_after_a_question(visit: Visit, own_site: ConsoleSite) -> None:
    page = visit(Role.ADMIN, at=own_site).open(ADDRESS)
    panel = page.locator("[data-cluster='fish']")
    field = panel.get_by_label("Rows per second for 捕鱼集群")
    button = panel.get_by_role("button", name="Set")
    field.fill("fast")
    button.click()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(panel).to_contain_text("A whole number from 0 to 2,147,483,647.")
    field.fill("20,000")
    button.click()
    answer_dialog(page, "Change the speed of 捕鱼集群?", "Cancel")
    assert cluster_of(own_site, "fish")["rows_per_s"] == 0
    button.click()
    expect(page.get_by_role("dialog")).to_contain_text("at most 20,000 rows per second")
    answer_dialog(page, "Change the speed of 捕鱼集群?", "Set")
    expect(panel).to_contain_text("Speed limit 20,000 rows/s")
    assert cluster_of(own_site, "fish")["rows_per_s"] == 20_000


def test_the_parts_beside_the_clusters_say_how_they_are(visit: Visit, own_site: ConsoleSite) -> None:
    page = visit(Role.VIEWER, at=own_site).open(ADDRESS)
    lights = {
        "server": r"ready\s*since .*version \S+",
        "ledger": r"up\s*since .*Answers in [\d.]+ ms",
        "inbox": r"watching\s*since .*0 waiting",
        "disk": r"up\s*since .*[\d.]+ [GT]B free; below 32 MB hand-ins are refused",
        "watchdog": r"present\s*since ",
        "clock": r"steady\s*since .*Nobody has set it",
    }
    for part, said in lights.items():
        expect(page.locator(f"[data-part='{part}']")).to_contain_text(re.compile(said, re.DOTALL))
    expect(page.get_by_text("To do")).to_have_count(0)


def test_a_killed_server_stands_in_the_diary_and_among_the_incidents(
    visit: Visit, own_site: ConsoleSite
) -> None:
    visitor = visit(Role.VIEWER, at=own_site)
    visitor.allow(GONE)
    page = visitor.open(ADDRESS)
    expect(page.locator("[data-what='started']").first).to_be_visible()
    before = server_of(own_site.world)
    before.kill()
    another_server(own_site.world, before)
    ended = page.locator("[data-what='ended']").filter(has_text=str(before.pid))
    expect(ended).to_contain_text("ended by itself")
    expect(ended).to_contain_text("signal 9")
    expect(page.locator("[data-what='ready']").first).to_contain_text("serving again after")
    # open until the new one has been well for a while
    over = page.get_by_role("list", name="Over").locator("[data-kind='server_crashed']").first
    expect(over).to_contain_text("Server ended by itself")
    expect(over).to_contain_text("server started: serving again after")
    expect(page.get_by_role("region", name="Incidents")).to_contain_text("No incident is open.")
    chinese = visit(Role.VIEWER, "zh", at=own_site).open(ADDRESS)
    crash = chinese.locator("[data-kind='server_crashed']").first
    expect(crash).to_contain_text(
        re.compile(r"服务进程自行结束.*因信号 SIGKILL 结束；.*启动服务进程：[\d.]+ 秒后恢复服务", re.DOTALL)
    )
    why = chinese.locator("[data-what='ended']").filter(has_text=str(before.pid)).locator(".why [title]")
    expect(why).to_have_attribute("title", re.compile(r"^ended with signal SIGKILL after \d+ s"))


def test_incidents_are_paged(visit: Visit, own_site: ConsoleSite) -> None:
    def incident(number: int) -> dict[str, object]:
        time = f"2026-01-31T{number % 24:02}:00:00+00:00"
        said = {"opened": time, "closed": time, "summary": f"number {number}", "remedies": []}
        return {"id": str(number), "kind": "inbox_overflow", "subject": "inbox", "severity": "notice", **said}

    def answer(route: Route) -> None:
        wanted = parse_qs(urlparse(route.request.url).query)
        first = 10 * (int(wanted["page"][0]) - 1)
        data = {"total": 25, "page": 1, "page_size": 10}
        data["items"] = [incident(number) for number in range(first, min(25, first + 10))]  # type: ignore[assignment]
        route.fulfill(json={"code": 0, "msg": "ok", "data": data})

    visitor = visit(Role.VIEWER, at=own_site)
    visitor.page.route(re.compile(r"/incidents\?.*open=0"), answer)
    page = visitor.open(ADDRESS)
    over, pages = (
        page.get_by_role("list", name="Over"),
        page.get_by_role("navigation", name="Pages of incidents"),
    )
    expect(over).to_contain_text("number 0")
    expect(pages).to_contain_text("Page 1 of 3")
    expect(pages.get_by_role("button", name="Newer")).to_be_disabled()
    for _ in range(2):
        pages.get_by_role("button", name="Older").click()
    expect(over).to_contain_text("number 24")
    expect(over.get_by_text("Inbox overflow")).to_have_count(5)
    expect(pages.get_by_role("button", name="Older")).to_be_disabled()


def test_who_may_see_some_clusters_sees_those_and_no_diary(visit: Visit, own_site: ConsoleSite) -> None:
    add_user(own_site, "limited", 200, clusters=["fish"])
    visitor = visit(at=own_site).log_in_as("limited")
    page = visitor.open(ADDRESS)
    expect(page.locator("[data-cluster]")).to_have_count(1)
    expect(page.get_by_role("region", name="Restart diary")).to_contain_text("only some are granted to you")
    expect(page.get_by_role("alert").filter(has_text=re.compile("."))).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_looks_as_it_should(
    visit: Visit, own_site: ConsoleSite, tmp_path: Path, language: Language, theme: Theme
) -> None:
    source = write_users(tmp_path / "users.csv", range(1, 20_001))
    assert own_site.client.hand_in(source, wait_s=60).data["state"] == "succeeded"
    own_site.set_cluster("label", drain=True)
    wait_until(lambda: cluster_of(own_site, "label")["state"] == "drained", "label is drained")
    for width in (NARROW, WIDE, 2560):
        visitor = visit(Role.ADMIN, language, theme, width, own_site)
        page = visitor.open(ADDRESS)
        expect(page.locator("[data-cluster='label'] .top [data-state='drained']")).to_be_visible()
        expect(page.locator("[data-what]").first).to_be_visible()
        expect(page.locator("[data-cluster='fish'] svg").first).to_be_visible()
        expect(page.locator("#incidents ~ .empty, #incidents ~ ul").first).to_be_visible()
        visitor.check_page()
        visitor.shoot("clusters")
