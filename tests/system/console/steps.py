"""Steps that tests of several pages take: beside the page, and through it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from eomd.model import Role
from tests.system.console.site import NAMES, PASSWORD, ConsoleSite

#: as the page's
LARGE_ROWS = 10_000

# --- beside the page


def hand_in(site: ConsoleSite, source: Path, by: Role = Role.OPERATOR, **config: Any) -> int:
    """Hand in for somebody of this role, or for whom `config` names; return the operation's id."""
    who = {"operatorid": 100 + int(by), "operatorname": NAMES[by]}
    answer = site.client.hand_in(source, **{**who, **config})
    assert answer.status == 201, answer.body
    identity: int = answer.data["id"]
    return identity


def add_user(site: ConsoleSite, name: str, operatorid: int, **fields: object) -> None:
    """Add somebody with the usual password: a viewer, unless `fields` say otherwise."""
    user = {"name": name, "operatorid": operatorid, "operatorname": name.title(), "role": "viewer"}
    answer = site.client.post("/users", {**user, "password": PASSWORD, **fields})
    assert answer.status == 201, answer.body


def count(site: ConsoleSite) -> int:
    """Return how many operations there are."""
    total: int = site.client.get("/queryoperationsbyoperatorid?page_size=1")["total"]
    return total


# --- through the page


def fill_in_log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def choose(page: Page, path: Path) -> None:
    """Choose a file, and wait until the server has said what it is."""
    page.locator("#new-file").set_input_files(path)
    expect(page.locator('[data-fact="name"]')).to_contain_text(path.name)


def pick(page: Page, eid: str) -> None:
    picker = page.get_by_role("combobox", name="Counters (EIDs)")
    picker.fill(eid)
    picker.press("Enter")


def type_rows(page: Page, rows: str) -> None:
    """Say how many rows are meant, where that is asked for."""
    page.get_by_label("This changes many players").fill(rows)


def operation_of(page: Page, other_than: int | None = None) -> int:
    """Return the operation to whose page the browser has come."""
    page.wait_for_url(
        lambda url: "/console/operations/" in url and not url.endswith(f"/operations/{other_than}")
    )
    return int(page.url.rpartition("/")[2])


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until this is reached."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the Tab key does not lead to {selector}")


def value_of(bar: Locator) -> int:
    return int(bar.get_attribute("aria-valuenow") or 0)


# --- of a new operation


def describe_modify(page: Page, path: Path, mode: str = "increase", amount: str = "5") -> None:
    choose(page, path)
    page.get_by_label("modify").check()
    page.get_by_label("Cluster").select_option("fish")
    pick(page, "1001")
    page.get_by_label(mode, exact=True).check()
    page.get_by_label("Amount").fill(amount)


def make_plan(page: Page) -> None:
    page.get_by_role("button", name="Make the plan").click()
    expect(page.get_by_text("The plan is ready.")).to_be_visible()


def carry_out(page: Page) -> Locator:
    return page.get_by_role("button", name="Carry out")


def handed_in(page: Page, site: ConsoleSite) -> Any:
    """Return what the API says of the operation at whose page the browser has come."""
    return site.client.operation(operation_of(page))
