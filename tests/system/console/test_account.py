"""One-time links, one's own password, and the way out of every browser."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from eomd.model import Role
from tests.system.console.conftest import Visit
from tests.system.console.site import PASSWORD, ConsoleSite
from tests.system.console.steps import add_user, fill_in_log_in

OTHER = "another long sentence"


def link_for(site: ConsoleSite, name: str) -> str:
    made = site.world.run("user", "link", name)
    assert made.returncode == 0, made.stderr
    found = re.search(r"/console/enter#\S+", made.stdout)
    assert found is not None, made.stdout
    return found[0]


def enter(visit: Visit, name: str) -> Page:
    visitor = visit().log_in_as(name)
    visitor.allow("status of 401")
    return visitor.open("/")


def test_a_link_logs_in_once_and_leaves_no_code_behind(visit: Visit, site: ConsoleSite) -> None:
    link = link_for(site, "viewer")
    page = visit().open(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.get_by_role("banner")).to_contain_text("王芳")
    page.go_back()
    expect(page).not_to_have_url(re.compile("#."))

    late = visit().open(link)
    expect(late.get_by_role("alert").first).to_contain_text("it has been used already")
    late.get_by_role("link", name="Log in by password").click()
    expect(late.get_by_role("heading", level=1)).to_have_text("Log in")


def test_a_link_without_its_code_and_a_cut_one_are_told_in_words(visit: Visit, site: ConsoleSite) -> None:
    visitor = visit()
    page = visitor.open("/console/enter")
    expect(page.get_by_role("alert").first).to_contain_text("There is no code in this link.")
    visitor.allow("status of 4")
    page = visitor.open(link_for(site, "viewer")[:-5])
    expect(page.get_by_role("alert").first).to_contain_text("was not copied whole")


def test_a_link_waits_for_a_server_that_is_away(visit: Visit, site: ConsoleSite) -> None:
    visitor = visit()
    visitor.allow("ERR_FAILED")
    page = visitor.page
    page.route("**/api/v1/session*", lambda route: route.abort())
    visitor.open(link_for(site, "viewer"))
    expect(page.get_by_role("alert").filter(has_text="cannot be reached")).to_be_visible()
    page.unroute("**/api/v1/session*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_one_s_own_password_is_changed_and_ends_every_session(visit: Visit, site: ConsoleSite) -> None:
    add_user(site, "feng", 601)
    elsewhere, page = enter(visit, "feng"), enter(visit, "feng")
    page.get_by_role("button", name="My account").click()
    dialog = page.get_by_role("dialog", name="My account")
    change = dialog.get_by_role("button", name="Change password")
    dialog.get_by_label("New password").fill("short")
    change.click()
    expect(dialog.get_by_label("Present password")).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_text("At least 12 characters.")).to_be_visible()
    dialog.get_by_label("Present password").fill("not the password")
    dialog.get_by_label("New password").fill(OTHER)
    change.click()
    expect(dialog.get_by_text("That is not your present password.")).to_be_visible()
    dialog.get_by_label("Present password").fill(PASSWORD)
    change.click()
    expect(page).to_have_url(re.compile("/console/login"))
    expect(page.get_by_text("Your password has been changed.")).to_be_visible()
    elsewhere.reload()
    expect(elsewhere).to_have_url(re.compile("/console/login"))
    fill_in_log_in(page, "feng", OTHER)
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_the_way_out_of_every_browser(visit: Visit, site: ConsoleSite) -> None:
    add_user(site, "chu", 602)
    elsewhere, page = enter(visit, "chu"), enter(visit, "chu")
    page.get_by_role("button", name="My account").click()
    dialog = page.get_by_role("dialog", name="My account")
    dialog.get_by_role("button", name="Log out everywhere").click()
    dialog.get_by_role("button", name="Yes, log out everywhere").click()
    expect(page).to_have_url(re.compile("/console/login"))
    elsewhere.reload()
    expect(elsewhere).to_have_url(re.compile("/console/login"))


def test_the_account_opens_and_closes_by_keyboard(visit: Visit) -> None:
    page = visit(Role.OPERATOR).open("/")
    button = page.get_by_role("button", name="My account")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="My account")
    expect(dialog.get_by_label("Present password")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
