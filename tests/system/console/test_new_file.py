"""New operation, the file: chosen or dropped, said what it is, and kept over whatever comes between."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from eomd.model import Role
from tests.system.console.conftest import Visit
from tests.system.console.site import PASSWORD, ConsoleSite
from tests.system.console.steps import (
    choose,
    count,
    describe_modify,
    handed_in,
    make_plan,
    pick,
)
from tests.system.console.visitor import DATA

CASES = json.loads((DATA / "cases.json").read_text())


def test_a_query_of_the_operators_own_excel_file(visit: Visit, site: ConsoleSite) -> None:
    page = visit(Role.OPERATOR).open("/console/new")
    choose(page, DATA / "query-gb18030-carried.csv")
    expect(page.locator('[data-fact="encoding"]')).to_have_text("GB18030")
    expect(page.locator('[data-fact="columns"]')).to_contain_text("昵称")
    expect(page.locator('[data-fact="rows"]')).to_have_text("1,000")
    expect(page.get_by_text("Every line can be read.")).to_be_visible()
    page.get_by_label("Cluster").select_option("fish")
    pick(page, "积分")
    expect(page.locator(".sentence")).to_have_text(
        "Reads 活动积分 (1001) of 1,000 players of 捕鱼集群. Nothing is changed."
    )
    page.get_by_label("Description").fill("who has what")
    page.get_by_role("button", name="Start").click()
    operation = handed_in(page, site)
    assert (operation["model"], operation["eids"], operation["description"]) == (
        "query",
        [1001],
        "who has what",
    )
    assert operation["operatorname"] == "李雷"
    assert site.client.wait_for_state(operation["id"], "succeeded", "partial")["rows"]["total"] == 1000


BAD = [case for case in CASES if case["file"].startswith("bad-")]
#: wrong whatever they are for; the others are found when it is known what for
AT_ONCE = {
    f"bad-{name}.csv"
    for name in ("excel-exponent", "empty", "header-only", "binary.xlsx", "not-a-number", "ragged")
}


@pytest.mark.parametrize("case", BAD, ids=[case["file"] for case in BAD])
def test_a_bad_file_shows_its_lines_and_cells_and_is_not_taken(
    visit: Visit, site: ConsoleSite, case: dict[str, Any]
) -> None:
    visitor = visit(Role.OPERATOR)
    visitor.allow("status of 400")
    page = visitor.open("/console/new")
    before = count(site)
    choose(page, DATA / case["file"])
    if case["file"] in AT_ONCE:
        expect(page.get_by_text("The file has problems.")).to_be_visible()
        expect(page.get_by_role("button", name="Start")).to_be_disabled()
    if case["model"] == "modify":
        hand_in_case(page, case)
    problems = page.get_by_role("region", name="The file has problems.").locator("tbody tr")
    expect(problems).not_to_have_count(0)
    for wanted in case["problems"]:
        mine = problems.filter(has=page.locator(f"td:first-child:text-is('{wanted.get('line', 1)}')"))
        expect(mine).not_to_have_count(0)
        if "column" in wanted:
            expect(mine.locator(f"td:nth-child(2):text-is('{wanted['column']}')")).not_to_have_count(0)
    assert count(site) == before


def hand_in_case(page: Page, case: dict[str, Any]) -> None:
    page.get_by_label(case["model"]).check()
    page.get_by_label("Cluster").select_option("fish")
    for eid in case.get("eids", [1001]):
        pick(page, str(eid))
    name = {"inc": "increase", "dec": "decrease", "set": "set"}[case["mode"]]
    page.get_by_label(name, exact=True).check()
    page.get_by_role("button", name="Make the plan").click()


def test_the_cells_that_are_wrong_are_marked_where_they_stand(visit: Visit, tmp_path: Path) -> None:
    visitor = visit(Role.OPERATOR)
    path = tmp_path / "用户.csv"
    path.write_text("userid,name\n1,a\n\n1.00E+08,b\n3\n+4,d\n")
    page = visitor.open("/console/new")
    choose(page, path)
    sample = page.get_by_role("region", name="First rows").locator("tbody tr")
    expect(sample).to_have_count(4)
    expect(sample.locator("th")).to_contain_text(["2", "4", "5", "6"])
    expect(sample.locator("td.bad")).to_contain_text(["1.00E+08", "+4"])
    expect(page.locator("tr.bad")).to_have_count(1)
    expect(page.locator("tr.bad th")).to_contain_text("1 columns where 2 are expected")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a list").click()
    assert download.value.suggested_filename == "用户-problems.csv"
    saved = list(csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))
    assert [(line, column) for line, column, *_ in saved[1:]] == [("4", "userid"), ("5", ""), ("6", "userid")]


def test_a_list_of_problems_says_how_many_there_are_in_all(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("userid\n" + "".join(f"x{number}\n" for number in range(10_000)))
    page = visit(Role.OPERATOR).open("/console/new")
    choose(page, path)
    said = "100 of 10,000 problems shown"
    expect(page.get_by_text(said)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a list").click()
    saved = list(csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))
    assert saved[100][:3] == ["101", "userid", "x99"]
    assert saved[101:] == [["", "", "", said]]


def test_reasons_are_told_in_the_reader_s_language(visit: Visit) -> None:
    page = visit(Role.OPERATOR, language="zh").open("/console/new")
    choose(page, DATA / "bad-excel-exponent.csv")
    expect(page.get_by_text("科学计数法").first).to_be_visible()
    choose(page, DATA / "bad-binary.xlsx.csv")
    expect(page.get_by_text("可能是 Excel 工作簿").first).to_be_visible()


def test_problems_of_amounts_are_marked_when_it_is_known_what_the_file_is_for(visit: Visit) -> None:
    visitor = visit(Role.OPERATOR)
    visitor.allow("status of 400")
    page = visitor.open("/console/new")
    choose(page, DATA / "bad-negative-inc.csv")
    expect(page.get_by_text("Every line can be read.")).to_be_visible()
    hand_in_case(page, {"model": "modify", "mode": "inc"})
    expect(page.locator("td.bad")).to_contain_text(["-5"])


def test_a_file_is_dropped(visit: Visit) -> None:
    page = visit(Role.OPERATOR).open("/console/new")
    data = page.evaluate_handle(
        "() => { const dragged = new DataTransfer();"
        " dragged.items.add(new File(['userid\\n1\\n'], 'dropped.csv')); return dragged; }"
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": data})
    expect(page.locator('[data-fact="name"]')).to_contain_text("dropped.csv")
    expect(page.locator('[data-fact="rows"]')).to_have_text("1")
    # beside the box: the browser is kept from opening it in place of the page
    taken = "(kind) => !document.body.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true}))"
    assert [page.evaluate(taken, kind) for kind in ("dragover", "drop")] == [True, True]
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    assert not page.evaluate(taken, "drop")


def test_an_upload_tells_how_far_it_is_and_can_be_given_up(visit: Visit, source: Path) -> None:
    page = visit(Role.OPERATOR).open("/console/new")
    # never answered
    page.route("**/api/v1/upload*", lambda route: None)
    page.locator("#new-file").set_input_files(source)
    expect(page.get_by_role("progressbar", name="Upload")).to_be_visible()
    page.get_by_role("button", name="Cancel the upload").click()
    expect(page.get_by_role("progressbar", name="Upload")).to_have_count(0)
    expect(page.locator("#new-file")).to_be_focused()
    page.unroute("**/api/v1/upload*")
    choose(page, source)


def test_a_reload_keeps_the_file_and_the_form(visit: Visit, source: Path, site: ConsoleSite) -> None:
    page = visit(Role.OPERATOR).open("/console/new")
    describe_modify(page, source)
    page.reload()
    expect(page.locator('[data-fact="name"]')).to_contain_text("players.csv")
    expect(page.locator(".sentence")).to_have_text("Adds 5 分 to 活动积分 (1001) of 5 players of 捕鱼集群.")
    before = count(site)
    make_plan(page)
    page.reload()
    expect(page.get_by_text("The plan is ready.")).to_be_visible()
    assert count(site) == before + 1


def test_who_has_to_log_in_again_finds_the_form_as_it_was(visit: Visit, source: Path) -> None:
    visitor = visit(Role.OPERATOR)
    visitor.allow(r"status of 401")
    page = visitor.open("/console/new")
    choose(page, source)
    page.get_by_label("Description").fill("half done")
    page.get_by_label("Cluster").select_option("label")
    pick(page, "1001")
    visitor.context.clear_cookies()
    page.get_by_role("button", name="Start").click()
    page.get_by_label("Name").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Description")).to_have_value("half done")
    expect(page.locator('[data-fact="name"]')).to_contain_text(source.name)


def test_a_lost_answer_and_a_reload_send_nothing_twice(visit: Visit, source: Path, site: ConsoleSite) -> None:
    visitor = visit(Role.OPERATOR)
    visitor.allow("ERR_FAILED")
    page = visitor.open("/console/new")
    choose(page, source)
    page.get_by_label("Cluster").select_option("fish")
    pick(page, "1001")
    before = count(site)

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/api/v1/query?*", lose)
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert").filter(has_text="cannot be reached")).to_be_visible()
    page.unroute("**/api/v1/query?*")
    page.reload()
    page.get_by_role("button", name="Start").click()
    handed_in(page, site)
    assert count(site) == before + 1
