"""One operation's page: followed, downloaded, approved, undone, settled, and found again after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from eomd.model import Role
from tests.system.console.conftest import Visit
from tests.system.console.site import ConsoleSite, open_console_site
from tests.system.console.steps import LARGE_ROWS, hand_in, operation_of, tab_to, type_rows, value_of
from tests.system.console.visitor import DATA, GONE, NARROW, WIDE, Language, Theme, Visitor
from tests.watched import another_server, server_of
from tests.world import wait_until, write_users

USERS = range(100_000_000, 100_000_100)
#: over it a second person is needed
LARGEST = 10_000
AS_OPERATOR = {"operatorid": 100 + int(Role.OPERATOR), "operatorname": "李雷"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    """A site where large amounts need a second person."""
    extra = f"[approval]\nlargest_amount = {LARGEST}"
    with open_console_site(tmp_path_factory.mktemp("guarded"), extra) as opened:
        yield opened


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    """A site whose clusters lose answers and know no tokens."""
    flags = ("--no-idempotent", "--close-after", "3", "--max-rows", "10")
    with open_console_site(tmp_path_factory.mktemp("forgetful"), "", *flags) as opened:
        yield opened


def change(site: ConsoleSite, folder: Path, amount: int = 5, mode: str = "inc", **config: Any) -> int:
    source = write_users(folder / "活动补偿.csv", USERS, amount)
    return hand_in(site, source, mode=mode, **config)


def open_operation(visitor: Visitor, identity: int) -> Page:
    page = visitor.open(f"/console/operations/{identity}")
    state(page).wait_for()
    return page


def state(page: Page) -> Any:
    return page.locator("main .page-head [data-state]")


def expect_state(page: Page, wanted: str) -> None:
    expect(state(page)).to_have_attribute("data-state", wanted)


def act(page: Page, action: str) -> None:
    page.locator(f"[data-action={action}]").click()


def say_yes(page: Page) -> None:
    page.get_by_role("dialog").locator(".el-button--primary").click()


def counters(site: ConsoleSite, folder: Path, cluster: str = "fish") -> list[int]:
    """Ask the cluster for what the users have."""
    source = write_users(folder / "asked.csv", USERS)
    asked = hand_in(site, source, cluster=cluster, wait_s=60)
    rows = site.client.get(f"/operations/{asked}/rows?limit=1000")["rows"]
    return [int(row[-1]) for row in rows]


# --- followed, and downloaded


def test_it_is_followed_to_its_end_and_its_files_are_those_of_the_api(
    site: ConsoleSite, visit: Visit
) -> None:
    site.set_cluster("fish", rows_per_s=10)
    source = DATA / "query-gb18030-carried.csv"
    identity = hand_in(site, source, name="玩家名单.csv", eids=[1001, 1002])
    page = open_operation(visit(Role.OPERATOR), identity)
    bar = page.get_by_role("progressbar")
    expect_state(page, "running")
    expect(bar).not_to_have_attribute("aria-valuenow", "0")
    expect(page.get_by_role("img", name="Throughput")).to_be_visible()
    site.set_cluster("fish", rows_per_s=0)
    expect_state(page, "succeeded")
    expect(bar).to_have_attribute("aria-valuenow", "100")
    ended = site.client.operation(identity)
    names = {"result": "玩家名单-result.csv", "source": "玩家名单.csv", "log": "玩家名单-log.txt"}
    for what, saved in names.items():
        link = page.locator(f"[data-file={what}]")
        expect(link).to_have_text(saved)
        with page.expect_download() as downloading:
            link.click()
        assert downloading.value.suggested_filename == saved
        expected = site.client.download(ended[f"{what}name"], query="")
        assert downloading.value.path().read_bytes() == expected, what
    expect(page.locator("[data-event=succeeded]")).to_contain_text("1,000 of 1,000 rows")
    expect(page.locator("[data-status=OK]")).to_contain_text("1,000")
    expect(page.get_by_role("img", name="活动积分 (1001)")).to_be_visible()


def test_rows_are_found_by_status_and_by_user(site: ConsoleSite, visit: Visit, tmp_path: Path) -> None:
    source = write_users(tmp_path / "mixed.csv", [*USERS, *range(1, 4)])
    identity = hand_in(site, source, wait_s=60)
    page = open_operation(visit(Role.VIEWER), identity)
    rows = page.locator("[data-rows] tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Next").last.click()
    page.get_by_role("button", name="Next").last.click()
    expect(page.get_by_text("Rows 101 to 103 of 103")).to_be_visible()
    page.get_by_label("User", exact=True).fill("100,000,042")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("100000042")
    page.get_by_label("User", exact=True).fill("77")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No row fits.")).to_be_visible()


def test_what_has_failed_is_a_file_of_its_own_and_is_tried_again_once(
    site: ConsoleSite, visit: Visit, tmp_path: Path
) -> None:
    full = range(200_000_000, 200_000_003)
    hand_in(site, write_users(tmp_path / "full.csv", full, 2**63 - 5), mode="set", wait_s=60)
    identity = hand_in(site, write_users(tmp_path / "失败.csv", [*USERS, *full], 5), mode="inc", wait_s=60)
    page = open_operation(visit(Role.OPERATOR), identity)
    expect_state(page, "partial")
    with page.expect_download() as downloading:
        page.locator("[data-file=failed]").click()
    assert downloading.value.suggested_filename == "失败-failed.csv"
    page.locator("[data-action=retry]").dblclick()
    child = operation_of(page, identity)
    assert site.client.operation(child)["parent"] == identity
    expect(page.get_by_role("link", name=f"Operation {identity}").first).to_be_visible()
    page.go_back()
    expect(page.locator("[data-child]")).to_have_text(f"Operation {child}")


# --- paused, resumed, cancelled: by keyboard


def press(page: Page, action: str) -> None:
    button = page.locator(f"[data-action={action}]")
    button.focus()
    page.keyboard.press("Enter")


def test_it_is_paused_resumed_and_cancelled_by_keyboard(
    site: ConsoleSite, visit: Visit, tmp_path: Path
) -> None:
    site.set_cluster("fish", rows_per_s=100)
    identity = hand_in(site, write_users(tmp_path / "slow.csv", range(100_000_000, 100_050_000)))
    page = open_operation(visit(Role.OPERATOR), identity)
    press(page, "pause")
    expect_state(page, "paused")
    expect(state(page)).to_contain_text("by a person")
    expect(page.locator("[data-action=pause]")).to_have_count(0)
    press(page, "resume")
    expect_state(page, "running")
    press(page, "cancel")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("cannot be resumed")
    expect(dialog.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    expect(dialog.get_by_role("button", name="Leave it as it is")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect_state(page, "running")
    press(page, "cancel")
    expect(dialog.locator(".el-button--primary")).to_be_focused()
    page.keyboard.press("Enter")
    expect_state(page, "cancelled")
    expect(page.locator("[data-event=cancel]")).to_contain_text("by operator")
    site.set_cluster("fish", rows_per_s=0)


def test_a_viewer_is_offered_nothing_to_do(site: ConsoleSite, visit: Visit, tmp_path: Path) -> None:
    identity = change(site, tmp_path, wait_s=60)
    page = open_operation(visit(Role.VIEWER), identity)
    expect_state(page, "succeeded")
    expect(page.locator("[data-file=result]")).to_be_visible()
    expect(page.locator("[data-action], [data-file=evidence]")).to_have_count(0)


# --- a second person


@pytest.mark.parametrize("approve", [True, False])
def test_a_second_person_decides_in_another_browser(
    guarded: ConsoleSite, visit: Visit, tmp_path: Path, approve: bool
) -> None:
    identity = change(guarded, tmp_path, amount=2 * LARGEST)
    mine = open_operation(visit(Role.OPERATOR, at=guarded), identity)
    expect_state(mine, "awaiting_approval")
    expect(mine.locator("[data-why-not]")).to_contain_text("another person has to decide")
    theirs = open_operation(visit(Role.APPROVER, at=guarded), identity)
    panel = theirs.get_by_role("region", name="A second person")
    expect(panel).to_contain_text("An amount of 20,000: more than 10,000")
    expect(panel).to_contain_text("Handed in by 李雷")
    action = "approve" if approve else "reject"
    act(theirs, action)
    expect(panel.get_by_role("alert").first).to_have_text("Please give a reason.")
    expect(panel.get_by_label("Reason")).to_be_focused()
    panel.get_by_label("Reason").fill("agreed with customer service")
    act(theirs, action)
    # who has handed it in sees it without doing anything
    for page in (mine, theirs):
        expect_state(page, "succeeded" if approve else "rejected")
        expect(page.locator("[data-decision]")).to_contain_text("agreed with customer service")
    assert guarded.client.operation(identity)["approval"]["decision"]["approved"] is approve


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_words_without_a_space_are_not_wider_than_the_page(
    guarded: ConsoleSite, visit: Visit, tmp_path: Path, width: int
) -> None:
    longest = {"operatorname": "o" * 64, "description": "d" * 255}
    identity = change(guarded, tmp_path, amount=2 * LARGEST, **longest)
    plan = change(guarded, tmp_path, amount=2 * LARGEST, dry_run=True, wait_s=60, **longest)
    change(guarded, tmp_path, amount=2 * LARGEST, **longest)
    visitor = visit(Role.APPROVER, width=width, at=guarded)
    page = open_operation(visitor, identity)
    page.get_by_label("Reason").fill("r" * 255)
    act(page, "reject")
    expect(page.locator("[data-decision]")).to_contain_text("r" * 255)
    page.locator("[data-event=reject]").wait_for()
    visitor.check_page()
    page = open_operation(visitor, plan)
    page.locator("[data-event]").first.wait_for()
    expect(page.locator(".commit .note")).to_contain_text("d" * 255)
    visitor.check_page()


def test_who_decides_sees_the_plan(guarded: ConsoleSite, visit: Visit, tmp_path: Path) -> None:
    plan = change(guarded, tmp_path, amount=3 * LARGEST, dry_run=True, wait_s=60)
    mine = open_operation(visit(Role.OPERATOR, at=guarded), plan)
    expect(mine.locator("[data-count=change]")).to_contain_text("100")
    mine.get_by_label("Leave rows alone whose value has moved").check()
    act(mine, "commit")
    identity = operation_of(mine, plan)
    expect_state(mine, "awaiting_approval")
    theirs = open_operation(visit(Role.APPROVER, at=guarded), identity)
    panel = theirs.get_by_role("region", name="A second person")
    expect(panel.locator("[data-count=change]")).to_contain_text("100")
    expect(panel).to_contain_text("In all 3,000,000 more")
    panel.get_by_label("Reason").fill("as planned")
    act(theirs, "approve")
    expect_state(mine, "succeeded")


def test_it_is_approved_and_undone_by_keyboard_alone(
    guarded: ConsoleSite, visit: Visit, tmp_path: Path
) -> None:
    before = counters(guarded, tmp_path)
    identity = change(guarded, tmp_path, amount=2 * LARGEST)
    theirs = open_operation(visit(Role.APPROVER, at=guarded), identity)
    tab_to(theirs, "form textarea")
    theirs.keyboard.type("agreed")
    tab_to(theirs, "[data-action=approve]")
    theirs.keyboard.press("Enter")
    expect_state(theirs, "succeeded")
    tab_to(theirs, "[data-action=undo]")
    theirs.keyboard.press("Enter")
    plan = operation_of(theirs, identity)
    expect(theirs.get_by_role("heading", name="Plan of the undo")).to_be_visible()
    tab_to(theirs, "[data-action=commit]")
    theirs.keyboard.press("Enter")
    undo = operation_of(theirs, plan)
    expect_state(theirs, "awaiting_approval")
    another = open_operation(visit(Role.ADMIN, at=guarded), undo)
    another.get_by_label("Reason").fill("agreed")
    act(another, "approve")
    expect_state(theirs, "succeeded")
    assert counters(guarded, tmp_path) == before


# --- undo


def test_undo_shows_its_plan_first_and_gives_back_once(
    site: ConsoleSite, visit: Visit, tmp_path: Path
) -> None:
    before = counters(site, tmp_path)
    identity = change(site, tmp_path, amount=7, wait_s=60)
    page = open_operation(visit(Role.OPERATOR), identity)
    page.locator("[data-action=undo]").dblclick()
    plan = operation_of(page, identity)
    expect(page.get_by_role("heading", name="Plan of the undo")).to_be_visible()
    assert counters(site, tmp_path) == [value + 7 for value in before]
    button = page.locator("[data-action=commit]")
    expect(button).to_have_text("Give back 100 rows")
    button.click()
    undo = operation_of(page, plan)
    expect_state(page, "succeeded")
    expect(page.get_by_role("region", name="What was asked for")).to_contain_text(
        f"Operation {identity} (undo)"
    )
    assert counters(site, tmp_path) == before
    page.goto(f"/console/operations/{identity}")
    expect(page.locator("[data-event=undo-plan]")).to_contain_text(f"Operation {plan}")
    expect(page.locator("[data-event=undo]")).to_contain_text(f"Operation {undo}")
    page.goto(f"/console/operations/{plan}")
    expect(page.locator("[data-event=commit]")).to_contain_text(f"Operation {undo}")
    # one of each, the double click included
    listed = site.client.get("/queryoperationsbyoperatorid?page_size=200")["items"]
    assert [each["id"] for each in listed if each["parent"] == identity] == [undo, plan]
    # undone already: there is no second time
    page = open_operation(visit(Role.OPERATOR), identity)
    expect(page.locator("[data-undone-by]")).to_have_text(f"Undone by operation {undo}")
    expect(page.locator("[data-action=undo]")).to_have_count(0)
    # an undo that was undone itself does not stand in the way
    again = site.client.post(f"/operations/{undo}/undo", AS_OPERATOR).data["id"]
    site.client.wait_for_state(again, "succeeded")
    page = open_operation(visit(Role.OPERATOR), identity)
    expect(page.locator("[data-action=undo]")).to_be_visible()
    expect(page.locator("[data-undone-by]")).to_have_count(0)


def test_a_large_plan_is_carried_out_once_its_rows_are_typed(
    site: ConsoleSite, visit: Visit, tmp_path: Path
) -> None:
    source = write_users(tmp_path / "large.csv", range(100_000_000, 100_000_000 + LARGE_ROWS), 7)
    plan = hand_in(site, source, mode="set", dry_run=True, wait_s=60)
    page = open_operation(visit(Role.OPERATOR), plan)
    button = page.locator("[data-action=commit]")
    expect(button).to_be_disabled()
    type_rows(page, "9,999")
    expect(button).to_be_disabled()
    type_rows(page, "10,000")
    button.click()
    assert site.client.operation(operation_of(page, plan))["parent"] == plan


# --- uncertain rows


def test_uncertain_rows_are_settled_one_way_and_the_other(
    forgetful: ConsoleSite, visit: Visit, tmp_path: Path
) -> None:
    identity = change(forgetful, tmp_path, wait_s=60)
    uncertain = forgetful.client.operation(identity)["rows"]["uncertain"]
    assert uncertain > 2
    watcher = open_operation(visit(Role.OPERATOR, at=forgetful), identity)
    expect(watcher.locator("[data-uncertain]")).to_be_visible()
    expect(watcher.locator("[data-settle]")).to_have_count(0)
    page = open_operation(visit(Role.APPROVER, at=forgetful), identity)
    expect(page.locator("[data-open]")).to_have_text(f"{uncertain} of {uncertain} are open.")
    for row in page.locator("[data-row]").all()[:2]:
        tab_to(page, f"[data-row='{row.get_attribute('data-row')}'] input")
        page.keyboard.press("Space")
    tab_to(page, "[data-settle=chosen-applied]")
    page.keyboard.press("Enter")
    expect(page.locator("[data-open]")).to_have_text(f"{uncertain - 2} of {uncertain} are open.")
    expect(page.locator("[data-count=ok]")).to_contain_text(f"{100 - uncertain + 2}")
    page.locator("[data-settle=all-not_applied]").click()
    expect(page.get_by_role("dialog")).to_contain_text("a retry takes them")
    say_yes(page)
    expect(page.locator("[data-uncertain]")).to_have_count(0)
    expect(page.locator("[data-count=failed]")).to_contain_text(f"{uncertain - 2}")
    expect(page.locator("[data-action=retry]")).to_have_text(f"Retry {uncertain - 2} rows")
    expect(watcher.locator("[data-uncertain]")).to_have_count(0)


def test_uncertain_rows_sent_again_are_another_operation(
    forgetful: ConsoleSite, visit: Visit, tmp_path: Path
) -> None:
    identity = change(forgetful, tmp_path, mode="set", amount=9, wait_s=60)
    page = open_operation(visit(Role.APPROVER, at=forgetful), identity)
    page.locator("[data-settle=all-send_again]").click()
    expect(page.get_by_role("dialog")).to_contain_text("done twice")
    say_yes(page)
    child = operation_of(page, identity)
    assert forgetful.client.operation(child)["parent"] == identity
    # they count as failed, and are not offered a second time
    page = open_operation(visit(Role.OPERATOR, at=forgetful), identity)
    expect(page.locator("[data-event=settle]")).to_contain_text("send again")
    expect(page.locator("[data-count=failed]")).not_to_contain_text("failed 0")
    expect(page.locator("[data-action=retry]")).to_have_count(0)


# --- a crash


def test_the_page_recovers_by_itself_from_a_killed_server(
    guarded: ConsoleSite, visit: Visit, tmp_path: Path
) -> None:
    guarded.set_cluster("fish", rows_per_s=200)
    identity = hand_in(guarded, write_users(tmp_path / "long.csv", range(100_000_000, 100_020_000)))
    visitor = visit(Role.OPERATOR, at=guarded)
    visitor.allow(GONE)
    page = open_operation(visitor, identity)
    page.evaluate("window.sameLoad = true")
    bar = page.get_by_role("progressbar")
    expect(bar).not_to_have_attribute("aria-valuenow", "0")
    before = server_of(guarded.world)
    before.kill()
    another_server(guarded.world, before)
    seen = value_of(bar)
    wait_until(lambda: value_of(bar) > seen, "progress after the restart")
    guarded.set_cluster("fish", rows_per_s=0)
    expect_state(page, "succeeded")
    expect(page.locator("[data-count=ok]")).to_contain_text("20,000")
    expect(page.locator("[data-file=result]")).to_be_visible()
    expect(page.locator(".error")).to_have_count(0)
    assert page.evaluate("window.sameLoad")


# --- how it looks


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_it_looks_as_it_should(
    guarded: ConsoleSite, visit: Visit, tmp_path: Path, language: Language, theme: Theme, width: int
) -> None:
    waiting = change(guarded, tmp_path, amount=2 * LARGEST)
    pages = {
        "operation-ended": change(guarded, tmp_path, verify="all", wait_s=60),
        "operation-plan": change(guarded, tmp_path, dry_run=True, wait_s=60),
        "operation-waiting": waiting,
    }
    visitor = visit(Role.APPROVER, language, theme, width, at=guarded)
    for name, identity in pages.items():
        page = open_operation(visitor, identity)
        page.locator("[data-event]").first.wait_for()
        if name != "operation-waiting":
            page.locator("[data-rows]").wait_for()
            page.locator("canvas").first.wait_for()
        visitor.check_page()
        visitor.shoot(name)
    guarded.client.post(f"/operations/{waiting}/cancel")


@pytest.mark.parametrize(("language", "theme", "width"), [("en", "light", WIDE), ("zh", "dark", NARROW)])
def test_uncertain_rows_look_as_they_should(
    forgetful: ConsoleSite, visit: Visit, tmp_path: Path, language: Language, theme: Theme, width: int
) -> None:
    identity = change(forgetful, tmp_path, wait_s=60)
    visitor = visit(Role.APPROVER, language, theme, width, at=forgetful)
    open_operation(visitor, identity).locator("[data-uncertain]").wait_for()
    visitor.check_page()
    visitor.shoot("operation-uncertain")
