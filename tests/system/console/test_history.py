"""The history: its filter stands in the address, its pages do not shift, what runs is followed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from eomd.model import Role
from tests.system.console.conftest import Visit
from tests.system.console.site import ConsoleSite, open_console_site
from tests.system.console.steps import hand_in
from tests.system.console.visitor import NARROW, WIDE, Language, Theme
from tests.world import write_users

#: of what is listed at once
PAGE = 50
MANY = 2 * PAGE + 10
OPERATORS = {7: "Li", 8: "王小明"}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    """A site with more than two pages of operations: two operators, two clusters, some of them changes."""
    folder = tmp_path_factory.mktemp("many")
    source = write_users(folder / "名单.csv", range(1, 4))
    with open_console_site(folder) as opened:
        for number in range(MANY):
            hand_in_number(opened, source, number)
        yield opened


def hand_in_number(site: ConsoleSite, source: Path, number: int) -> int:
    operator = 7 + number % 2
    changes: dict[str, Any] = {"mode": "inc", "amount": 1} if number % 10 == 0 else {}
    return hand_in(
        site,
        source,
        operatorid=operator,
        operatorname=OPERATORS[operator],
        cluster="label" if number % 5 == 0 else "fish",
        description=f"批次 {number}",
        **changes,
    )


def rows(page: Page) -> Any:
    return page.locator("[data-operation]")


def shown(page: Page) -> list[int]:
    return [int(row.get_attribute("data-operation") or 0) for row in rows(page).all()]


def turn(page: Page, where: str) -> None:
    page.locator(f"[data-page={where}]").click()


def test_its_pages_do_not_shift_while_new_operations_come(
    many: ConsoleSite, visit: Visit, tmp_path: Path
) -> None:
    page = visit(Role.APPROVER, at=many).open("/console/operations")
    expect(rows(page)).to_have_count(PAGE)
    first = shown(page)
    assert first == sorted(first, reverse=True)
    hand_in_number(many, write_users(tmp_path / "new.csv", range(1, 4)), 1)
    expect(page.locator("[data-newer]")).to_be_visible()
    assert shown(page) == first
    turn(page, "next")
    expect(rows(page).first).to_have_attribute("data-operation", str(first[-1] - 1))
    second = shown(page)
    turn(page, "next")
    expect(rows(page).first).to_have_attribute("data-operation", str(second[-1] - 1))
    assert min(shown(page)) == 1
    expect(page.locator("[data-page=next]")).to_be_disabled()
    turn(page, "previous")
    expect(rows(page).first).to_have_attribute("data-operation", str(second[0]))
    turn(page, "first")
    expect(rows(page).first).to_have_attribute("data-operation", str(first[0] + 1))


def test_the_address_holds_the_filter(many: ConsoleSite, visit: Visit) -> None:
    page = visit(Role.APPROVER, at=many).open("/console/operations")
    expect(rows(page)).to_have_count(PAGE)
    page.get_by_label("Kind").select_option("modify")
    expect(page).to_have_url(f"{many.url}/console/operations?model=modify")
    expect(rows(page)).to_have_count(MANY // 10)
    page.get_by_label("Operator").fill("7")
    page.get_by_label("Text").fill("批次 10")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(2)
    expect(page.locator("[data-total]")).to_have_text("Operations: 2")
    link = page.url
    page.go_back()
    expect(rows(page)).to_have_count(MANY // 10)
    expect(page.get_by_label("Text")).to_have_value("")
    page.go_forward()
    expect(rows(page)).to_have_count(2)
    # somebody else, who got the link
    other = visit(Role.ADMIN, language="zh", at=many)
    other.open(link)
    expect(rows(other.page)).to_have_count(2)
    expect(other.page.get_by_label("关键字")).to_have_value("批次 10")
    expect(other.page.get_by_label("操作人", exact=True)).to_have_value("7")
    other.page.locator("[data-clear]").click()
    expect(rows(other.page)).to_have_count(PAGE)
    expect(other.page).to_have_url(f"{many.url}/console/operations")


def test_each_part_of_the_filter_counts(many: ConsoleSite, visit: Visit) -> None:
    wanted = {
        "cluster=label": MANY // 5,
        "state=failed": 0,
        "from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z": 0,
        "operatorid=8&model=modify": 0,
        "q=批次 100": 1,
    }
    page = visit(Role.APPROVER, at=many).page
    for query, count in wanted.items():
        page.goto(f"/console/operations?{query}")
        expect(page.locator("[data-total]")).to_have_text(f"Operations: {count}")
        expect(rows(page)).to_have_count(count)
    page.goto("/console/operations?state=nonsense&operatorid=seven")
    expect(rows(page)).to_have_count(PAGE)


def test_it_is_walked_by_keyboard(many: ConsoleSite, visit: Visit) -> None:
    page = visit(Role.APPROVER, at=many).open("/console/operations")
    expect(rows(page)).to_have_count(PAGE)
    third = shown(page)[2]
    page.locator("[data-open]").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Operation {third}")
    page.go_back()
    expect(rows(page)).to_have_count(PAGE)


def test_what_runs_is_followed(many: ConsoleSite, visit: Visit, tmp_path: Path) -> None:
    many.set_cluster("fish", rows_per_s=100)
    source = write_users(tmp_path / "long.csv", range(100_000_000, 100_010_000))
    identity = hand_in_number(many, source, 1)
    page = visit(Role.OPERATOR, at=many).open(f"/console/operations?operatorid={8}")
    row = page.locator(f"[data-operation='{identity}']")
    expect(row.get_by_role("progressbar")).not_to_have_attribute("aria-valuenow", "0")
    many.set_cluster("fish", rows_per_s=0)
    expect(row.locator("[data-state=partial], [data-state=succeeded]")).to_be_visible()


def test_what_does_not_belong_to_the_list_is_not_offered(
    many: ConsoleSite, visit: Visit, tmp_path: Path
) -> None:
    everybody = visit(Role.APPROVER, at=many).open("/console/operations")
    ninth = visit(Role.APPROVER, at=many).open("/console/operations?operatorid=9")
    own = visit(Role.OPERATOR, at=many).open("/console/operations")
    expect(rows(everybody)).to_have_count(PAGE)
    for page in (ninth, own):
        expect(page.locator("[data-total]")).to_have_text("Operations: 0")
    expect(own.get_by_text("These are your own")).to_be_visible()
    for page in (everybody, ninth):
        expect(page.get_by_text("These are your own")).to_have_count(0)
    source = write_users(tmp_path / "others.csv", range(1, 4))
    hand_in_number(many, source, 1)
    expect(everybody.locator("[data-newer]")).to_have_text("Show 1 newer")
    # the same stream has told them of the others' by the time that it tells them of theirs
    hand_in(many, source, operatorid=9, operatorname="Nine")
    expect(ninth.locator("[data-newer]")).to_have_text("Show 1 newer")
    hand_in(many, source)
    expect(own.locator("[data-newer]")).to_have_text("Show 1 newer")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_it_looks_as_it_should(
    many: ConsoleSite, visit: Visit, language: Language, theme: Theme, width: int
) -> None:
    visitor = visit(Role.APPROVER, language, theme, width, at=many)
    page = visitor.open("/console/operations")
    expect(rows(page)).to_have_count(PAGE)
    visitor.check_page()
    visitor.shoot("history")
    page = visitor.open("/console/operations?q=nothing-like-that")
    expect(page.locator("[data-total]")).to_be_visible()
    visitor.check_page()
