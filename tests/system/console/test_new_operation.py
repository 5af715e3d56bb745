"""New operation, from what is to be done to the operation: plan, guard, repeats, refusals, grants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from eomd.model import Role
from tests.system.console.conftest import Visit
from tests.system.console.site import ConsoleSite, open_console_site
from tests.system.console.steps import (
    LARGE_ROWS,
    carry_out,
    choose,
    count,
    describe_modify,
    hand_in,
    handed_in,
    make_plan,
    operation_of,
    pick,
    tab_to,
    type_rows,
)
from tests.system.console.visitor import DATA, NARROW, WIDE, Language, Theme
from tests.world import World, open_world, write_users


def test_a_modify_shows_its_plan_before_it_can_be_carried_out(
    visit: Visit, site: ConsoleSite, tmp_path: Path
) -> None:
    users = [*range(2001, 2006), 9_999_999_999]
    path = write_users(tmp_path / "plan.csv", users)
    page = visit(Role.OPERATOR).open("/console/new")
    describe_modify(page, path, "increase", "5")
    expect(page.locator(".sentence")).to_have_text("Adds 5 分 to 活动积分 (1001) of 6 players of 捕鱼集群.")
    expect(carry_out(page)).to_have_count(0)
    make_plan(page)
    planned = int(page.locator('[data-count="change"] dd').inner_text())
    expect(page.locator("figure canvas")).to_be_visible()
    expect(page.get_by_text("In all")).to_contain_text(f"In all {planned * 5} more and 0 less.")
    expect(page.locator("table.largest tbody tr")).to_have_count(min(planned, 10))
    expect(page.get_by_label("Cluster")).to_be_disabled()
    carry_out(page).click()
    operation = handed_in(page, site)
    assert (operation["dry_run"], operation["mode"]) == (False, "inc")
    assert site.client.operation(operation["parent"])["dry_run"] is True
    assert site.client.wait_for_state(operation["id"], "succeeded", "partial")["rows"]["ok"] == planned


def test_a_plan_that_is_still_put_together_says_so(visit: Visit, source: Path) -> None:
    page = visit(Role.OPERATOR).open("/console/new")
    held: list[Route] = []
    page.route("**/summary*", lambda route: held.append(route))
    describe_modify(page, source)
    page.get_by_role("button", name="Make the plan").click()
    expect(page.get_by_text("The plan is being put together")).to_be_visible()
    expect(page.get_by_text("The plan is ready.")).to_have_count(0)
    for route in held:
        route.continue_()
    expect(page.get_by_text("The plan is ready.")).to_be_visible()
    expect(carry_out(page)).to_be_visible()


def test_rows_that_would_fail_are_shown(visit: Visit, source: Path) -> None:
    page = visit(Role.OPERATOR).open("/console/new")
    # the counter may not go below 0
    describe_modify(page, source, "decrease", "9000000000000000000")
    make_plan(page)
    expect(page.locator('[data-count="fail"] dd')).to_have_text("5")
    expect(page.get_by_role("button", name="out of range · 5")).to_be_visible()
    rows = page.get_by_role("region", name="Rows that would fail").locator("tbody tr")
    expect(rows).to_have_count(5)
    expect(carry_out(page)).to_be_disabled()
    expect(page.get_by_text("There is no row to be sent.")).to_be_visible()
    page.get_by_role("button", name="Drop the plan").click()
    page.get_by_label("Amount").fill("1")
    expect(page.locator(".sentence")).to_contain_text("Takes 1 分 from")


def test_amounts_per_counter_of_the_file(visit: Visit, site: ConsoleSite) -> None:
    page = visit(Role.OPERATOR).open("/console/new")
    choose(page, DATA / "modify-per-eid.csv")
    page.get_by_label("modify").check()
    page.get_by_label("Cluster").select_option("fish")
    page.get_by_role("button", name="Take these from the file").click()
    expect(page.get_by_label("Amount")).to_have_count(0)
    expect(page.locator(".sentence")).to_have_text(
        "Adds to 累计消耗 (1002) and 活动积分 (1001) of 300 players of 捕鱼集群 what the column of each says."
    )
    make_plan(page)
    carry_out(page).click()
    operation = handed_in(page, site)
    assert operation["eids"] == [1002, 1001]


def test_many_rows_are_carried_out_once_their_number_is_typed(visit: Visit, tmp_path: Path) -> None:
    path = write_users(tmp_path / "many.csv", range(1, LARGE_ROWS + 1))
    page = visit(Role.OPERATOR).open("/console/new")
    describe_modify(page, path, "set", "7")
    make_plan(page)
    expect(carry_out(page)).to_be_disabled()
    type_rows(page, "9,999")
    expect(carry_out(page)).to_be_disabled()
    type_rows(page, "10,000")
    expect(carry_out(page)).to_be_enabled()


def test_a_double_click_makes_one_operation(visit: Visit, source: Path, site: ConsoleSite) -> None:
    page = visit(Role.OPERATOR).open("/console/new")
    choose(page, source)
    page.get_by_label("Cluster").select_option("label")
    pick(page, "1001")
    before = count(site)
    page.get_by_role("button", name="Start").dblclick()
    handed_in(page, site)
    assert count(site) == before + 1
    page.goto("/console/new")
    describe_modify(page, source, "set", "77")
    page.get_by_role("button", name="Make the plan").dblclick()
    expect(page.get_by_text("The plan is ready.")).to_be_visible()
    assert count(site) == before + 2
    carry_out(page).dblclick()
    handed_in(page, site)
    assert count(site) == before + 3


def test_a_click_while_the_next_page_is_on_its_way_makes_no_other(
    visit: Visit, source: Path, site: ConsoleSite
) -> None:
    page = visit(Role.OPERATOR).open("/console/new")
    held: list[Route] = []
    page.route("**/OperationPage-*.js", lambda route: held.append(route))
    choose(page, source)
    page.get_by_label("Cluster").select_option("label")
    pick(page, "1001")
    before = count(site)
    start = page.get_by_role("button", name="Start")
    for _ in range(2):
        with page.expect_response("**/api/v1/query*"):
            start.click()
    for route in held:
        route.continue_()
    operation_of(page, site)
    assert count(site) == before + 1
    # who comes back means another one
    page.go_back()
    with page.expect_response("**/api/v1/query*"):
        start.click()
    operation_of(page, site)
    assert count(site) == before + 2


def test_what_was_done_before_is_named_with_a_link(visit: Visit, tmp_path: Path, site: ConsoleSite) -> None:
    path = write_users(tmp_path / "again.csv", range(31, 44))
    done = hand_in(site, path, mode="dec", amount=0)
    page = visit(Role.OPERATOR).open("/console/new")
    describe_modify(page, path, "decrease", "0")
    make_plan(page)
    expect(page.get_by_role("link", name=f"Operation {done}, 李雷")).to_have_attribute(
        "href", f"/console/operations/{done}"
    )


def test_the_way_through_by_keyboard_alone(visit: Visit, source: Path, site: ConsoleSite) -> None:
    visitor = visit(Role.OPERATOR)
    page = visitor.open("/console/new")
    # a browser's own dialogue is out of reach: from the chosen file on
    choose(page, source)
    keyboard = page.keyboard
    expect(page.locator("#new-file")).to_be_focused()
    tab_to(page, "input[name=kind]")
    keyboard.press("ArrowDown")
    expect(page.get_by_label("modify")).to_be_checked()
    tab_to(page, "#new-cluster")
    keyboard.press("ArrowDown")
    tab_to(page, "#new-eids")
    keyboard.type("10")
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    keyboard.type("1001")
    keyboard.press("Enter")
    expect(page.locator(".chosen li")).to_contain_text(["累计消耗 (1002)", "活动积分 (1001)"])
    keyboard.press("Backspace")
    expect(page.locator(".chosen li")).to_contain_text(["累计消耗 (1002)"])
    tab_to(page, "input[name=mode]")
    tab_to(page, "#new-amount")
    keyboard.type("3")
    tab_to(page, "button.el-button--primary")
    keyboard.press("Enter")
    expect(page.get_by_text("The plan is ready.")).to_be_visible()
    expect(page.get_by_role("heading", name="Plan", exact=True)).to_be_focused()
    expect(carry_out(page)).to_be_visible()
    tab_to(page, ".commit button.el-button--primary")
    keyboard.press("Enter")
    assert handed_in(page, site)["eids"] == [1002]


# what the API refuses


def test_what_is_missing_is_said_at_its_field(visit: Visit, source: Path) -> None:
    page = visit(Role.OPERATOR).open("/console/new")
    page.get_by_label("modify").check()
    page.get_by_role("button", name="Make the plan").click()
    expect(page.locator("#new-file-error")).to_have_text("is missing")
    expect(page.locator("#new-cluster-error")).to_have_text("is missing")
    expect(page.locator("#new-eids-error")).to_have_text("is missing")
    expect(page.locator("#new-amount-error")).to_have_text("is missing")
    expect(page.get_by_label("Cluster")).to_be_focused()


def test_a_wrong_field_is_said_where_it_stands(visit: Visit, source: Path) -> None:
    visitor = visit(Role.OPERATOR)
    visitor.allow("status of 400")
    page = visitor.open("/console/new")
    describe_modify(page, source)
    page.get_by_text("More options").click()
    page.get_by_label("then wait for a person").check()
    page.get_by_role("button", name="Make the plan").click()
    expect(page.locator("#new-canary-error")).to_contain_text("there is no canary")
    expect(page.get_by_label("Canary")).to_be_focused()


REFUSALS = [
    (413, "TOO_LARGE", {"limit": "limits.rows", "value": 10}, "That is more than is allowed."),
    (429, "QUEUE_FULL", {"retry_after_s": 5}, "Too much is waiting already."),
    (503, "LEDGER_UNAVAILABLE", {"retry_after_s": 2}, "The ledger is away."),
    (507, "DISK_FULL", {"retry_after_s": 5}, "The server's disk is short of space."),
]


@pytest.mark.parametrize(("status", "word", "data", "said"), REFUSALS, ids=[word for _, word, *_ in REFUSALS])
def test_a_refusal_is_said_and_can_be_tried_again(
    visit: Visit, site: ConsoleSite, source: Path, status: int, word: str, data: dict[str, Any], said: str
) -> None:
    visitor = visit(Role.OPERATOR)
    visitor.allow(f"status of {status}")
    page = visitor.open("/console/new")
    choose(page, source)
    page.get_by_label("Cluster").select_option("fish")
    pick(page, "1001")
    body = {"code": status * 100 + 1, "error": word, "msg": "in the server's words", "data": data}
    page.route("**/api/v1/query?*", lambda route: route.fulfill(status=status, json=body))
    page.get_by_role("button", name="Start").click()
    place = page.locator("section.panel").nth(0 if word == "TOO_LARGE" else 2)
    expect(place.get_by_role("alert").filter(has_text=said)).to_be_visible()
    page.unroute("**/api/v1/query?*")
    page.get_by_role("button", name="Start").click()
    handed_in(page, site)


# sites of their own


@pytest.fixture(scope="module")
def strict_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    """Where repeats are refused, large amounts wait for a second person, and one operator is limited."""
    extra = "[modify]\nrefuse_repeats = true\n[approval]\nlargest_amount = 1000\n"
    with open_console_site(tmp_path_factory.mktemp("strict"), extra) as opened:
        opened.send("PATCH", "/users/approver", {"clusters": ["fish"], "eids": [1002]})
        yield opened


def test_a_repeat_that_is_refused_is_carried_out_when_it_is_meant(
    visit: Visit, strict_site: ConsoleSite, source: Path
) -> None:
    visitor = visit(Role.OPERATOR, at=strict_site)
    visitor.allow("status of 409")
    first = hand_in(strict_site, source, Role.VIEWER, mode="inc", amount=5, wait_s=60)
    page = visitor.open("/console/new")
    describe_modify(page, source)
    make_plan(page)
    carry_out(page).click()
    expect(page.get_by_role("alert").get_by_role("link")).to_have_attribute(
        "href", f"/console/operations/{first}"
    )
    expect(carry_out(page)).to_be_disabled()
    page.get_by_label("It is meant").check()
    carry_out(page).click()
    assert handed_in(page, strict_site)["repeats"] == [first]


def test_who_may_decide_is_said_where_a_second_person_is_needed(
    visit: Visit, strict_site: ConsoleSite, source: Path
) -> None:
    page = visit(Role.OPERATOR, at=strict_site).open("/console/new")
    describe_modify(page, source, "increase", "1001")
    make_plan(page)
    carry_out(page).click()
    operation = handed_in(page, strict_site)
    assert operation["state"] == "awaiting_approval"
    expect(page.get_by_text(f"Operation {operation['id']} waits for approval")).to_contain_text(
        "other than 李雷"
    )


def test_only_what_is_granted_is_offered(visit: Visit, strict_site: ConsoleSite) -> None:
    page = visit(Role.APPROVER, at=strict_site).open("/console/new")
    expect(page.get_by_label("Cluster").locator("option")).to_have_text(
        ["Choose a cluster", "捕鱼集群 (fish)"]
    )
    page.get_by_label("Cluster").select_option("fish")
    page.get_by_role("combobox", name="Counters (EIDs)").fill("100")
    expect(page.get_by_role("option").filter(has_text="100")).to_have_count(1)
    expect(page.get_by_role("listbox").get_by_role("option")).to_contain_text(["累计消耗"])


@pytest.fixture
def open_world_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Without log-in."""
    for world in open_world(tmp_path_factory.mktemp("open")):
        world.simulate()
        world.configure()
        world.serve()
        yield world


def test_without_a_log_in_it_asks_for_whom_it_is_and_keeps_that(
    open_world_site: World, visit: Visit, source: Path
) -> None:
    site = ConsoleSite(open_world_site, "")
    site.client.token = None
    page = visit(at=site).open("/console/new")
    choose(page, source)
    page.get_by_label("Cluster").select_option("fish")
    pick(page, "1001")
    page.get_by_role("button", name="Start").click()
    number = page.get_by_label("Your operator number")
    expect(number).to_have_attribute("aria-invalid", "true")
    number.fill("9007199254740993")
    page.get_by_label("Your name").fill("赵云")
    page.get_by_role("button", name="Start").click()
    operation = handed_in(page, site)
    assert (operation["operatorid"], operation["operatorname"]) == (9007199254740993, "赵云")
    page.goto("/console/new")
    expect(page.get_by_label("Your operator number")).to_have_value("9007199254740993")
    expect(page.get_by_label("Your name")).to_have_value("赵云")


# how it looks


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_it_looks_as_it_should(
    visit: Visit, language: Language, theme: Theme, width: int, tmp_path: Path
) -> None:
    visitor = visit(Role.OPERATOR, language, theme, width)
    page = visitor.open("/console/new")
    visitor.check_page()
    visitor.shoot("new-empty")
    choose(page, DATA / "bad-not-a-number.csv")
    visitor.check_page()
    visitor.shoot("new-bad-file")
    path = tmp_path / "补偿名单.csv"
    path.write_text("用户,数量\n" + "".join(f"{user},{user * 1000}\n" for user in range(1, 60)))
    choose(page, path)
    page.locator("input[name=kind][value=modify]").check()
    page.locator("#new-cluster").select_option("fish")
    page.locator("#new-eids").fill("1")
    visitor.shoot("new-picker")
    page.locator("#new-eids").press("Enter")
    page.locator("#new-eids").blur()
    page.locator("summary", has_text="选项" if language == "zh" else "options").click()
    visitor.check_page()
    visitor.shoot("new-form")
    page.locator("button.el-button--primary").click()
    expect(page.locator("figure canvas")).to_be_visible()
    visitor.check_page()
    visitor.shoot("new-plan")
