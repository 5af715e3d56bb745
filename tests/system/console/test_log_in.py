"""Logging in, and what stands around every page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Route, expect

from eomd.model import Role
from tests.system.console.conftest import Visit
from tests.system.console.site import ConsoleSite, open_console_site
from tests.system.console.steps import fill_in_log_in
from tests.system.console.visitor import NARROW, WIDE, Language, Theme
from tests.watched import another_server, server_of


def test_who_has_not_logged_in_does_so_and_comes_to_where_they_were_going(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open("/console/operations?state=running")
    expect(page).to_have_url(f"{visitor.site.url}/console/login?back=/console/operations?state=running")
    fill_in_log_in(page, "operator")
    expect(page).to_have_url(f"{visitor.site.url}/console/operations?state=running")
    expect(page.get_by_role("banner")).to_contain_text("李雷")
    expect(page.get_by_role("banner")).to_contain_text("operator")


def test_a_link_from_elsewhere_leads_nowhere_else(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open("/console/login?back=//example.com/")
    fill_in_log_in(page, "operator")
    expect(page).to_have_url(f"{visitor.site.url}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_a_wrong_password_is_said_in_words_and_read_aloud(visit: Visit) -> None:
    page = visit().open("/console/login")
    fill_in_log_in(page, "operator", "not the password")
    expect(page.get_by_role("alert").first).to_have_text("Name or password is wrong.")
    expect(page.get_by_label("Password")).to_be_focused()
    expect(page.get_by_label("Password")).to_have_value("")
    expect(page.get_by_label("Name")).to_have_value("operator")


def test_what_is_missing_is_asked_for(visit: Visit) -> None:
    page = visit().open("/console/login")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert").first).to_have_text("Please fill in name and password.")
    expect(page.get_by_label("Name")).to_be_focused()


def test_who_tries_too_often_is_told_how_long_to_wait(visit: Visit) -> None:
    visitor = visit()
    visitor.allow(r"status of 429")
    page = visitor.open("/console/login")
    alert = page.get_by_role("alert").first
    for _ in range(12):
        fill_in_log_in(page, "nobody.of.this.name", "not the password")
        expect(alert).to_contain_text("wrong")
        if "Too many" in alert.inner_text():
            break
    expect(alert).to_contain_text("Try again in")


def test_the_way_out_leads_to_the_log_in(visit: Visit) -> None:
    visitor = visit(Role.OPERATOR)
    page = visitor.open("/")
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{visitor.site.url}/console/login")
    assert visitor.context.cookies() == []


def test_each_sees_what_their_role_is_for(visit: Visit) -> None:
    links = {
        Role.VIEWER: ["Overview", "Operations", "Clusters"],
        Role.OPERATOR: ["Overview", "New operation", "Operations", "Clusters"],
        Role.ADMIN: ["Overview", "New operation", "Operations", "Clusters", "Administration"],
    }
    for role, expected in links.items():
        page = visit(role).open("/")
        expect(page.get_by_role("navigation", name="Main").get_by_role("link")).to_have_text(expected)


def test_language_and_theme_follow_the_browser_and_are_kept_once_chosen(visit: Visit) -> None:
    visitor = visit(Role.VIEWER, language="zh", theme="dark")
    page = visitor.open("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("总览")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("html")).to_have_class("dark")
    page.get_by_label("语言").select_option("en")
    page.get_by_label("Theme").select_option("light")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.locator("html")).not_to_have_class("dark")
    expect(page).to_have_title("Overview · eomd")


def test_on_a_narrow_screen_the_ways_open_from_a_button_by_keyboard_too(visit: Visit) -> None:
    page = visit(Role.OPERATOR, width=NARROW).open("/")
    navigation = page.get_by_role("navigation", name="Main")
    expect(navigation).to_be_hidden()
    button = page.get_by_role("button", name="Menu")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Operations")
    expect(navigation).to_be_hidden()


def test_the_first_tab_skips_to_the_content(visit: Visit) -> None:
    page = visit(Role.VIEWER).open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_an_address_without_a_page_says_so(visit: Visit) -> None:
    page = visit(Role.VIEWER).open("/console/nonsense")
    expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")


@pytest.fixture
def own_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    with open_console_site(tmp_path_factory.mktemp("own")) as opened:
        yield opened


def test_a_killed_server_shows_as_a_pause_and_the_page_recovers_by_itself(
    own_site: ConsoleSite, visit: Visit
) -> None:
    visitor = visit(Role.VIEWER, at=own_site)
    visitor.allow(r"ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION|ERR_EMPTY_RESPONSE")
    page = visitor.page
    streams: list[str] = []
    page.on("request", lambda request: streams.append(request.url) if "/events" in request.url else None)
    with page.expect_response(lambda response: "/events" in response.url):
        visitor.open("/")
    before = server_of(own_site.world)
    with page.expect_response(lambda response: "/events" in response.url and response.status == 200):
        before.kill()
    another_server(own_site.world, before)
    expect(page.locator("[data-link]")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    assert len(streams) >= 2


def test_a_lost_connection_is_said_and_ends(visit: Visit) -> None:
    visitor = visit(Role.VIEWER)
    visitor.allow(r"ERR_INTERNET_DISCONNECTED|ERR_FAILED")
    page = visitor.page
    page.route("**/api/v1/events*", lambda route: route.abort())
    visitor.open("/")
    expect(page.get_by_role("status").first).to_contain_text("The server is coming back")
    expect(page.get_by_role("status").first).to_contain_text("Connection lost since")
    page.unroute("**/api/v1/events*")
    expect(page.locator("[data-link]")).to_have_count(0)
    expect(page.get_by_role("status").first).to_have_text("Connected again.")


def test_a_refused_stream_is_asked_for_again_later_each_time(visit: Visit) -> None:
    visitor = visit(Role.VIEWER)
    visitor.allow(r"status of 503")
    page = visitor.page
    streams: list[str] = []

    def refuse(route: Route) -> None:
        streams.append(route.request.url)
        route.fulfill(status=503, json={"error": "TOO_BUSY", "msg": "", "data": {}})

    page.route("**/api/v1/events*", refuse)
    visitor.open("/")
    expect(page.get_by_role("status").first).to_contain_text("The server is coming back")
    # four in the time that this takes; a page that does not wait asks ten times as often
    assert len(streams) <= 8


@pytest.mark.parametrize("status", [503, None])
def test_who_comes_while_the_server_cannot_tell_who_they_are_is_let_in_once_it_can(
    visit: Visit, status: int | None
) -> None:
    visitor = visit(Role.VIEWER)
    visitor.allow(r"status of 503|ERR_FAILED")
    page = visitor.page
    asked: list[str] = []

    def be_away(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > 2:
            route.continue_()
        elif status is None:
            route.abort()
        else:
            route.fulfill(status=status, json={"error": "LEDGER_UNAVAILABLE", "msg": "", "data": {}})

    page.route("**/api/v1/session*", be_away)
    page.goto("/console/operations?state=running")
    expect(page.get_by_role("banner")).to_contain_text("王芳")
    expect(page.get_by_role("heading", level=1)).to_have_text("Operations")
    expect(page.get_by_text("No operation fits.")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_it_looks_as_it_should(visit: Visit, language: Language, theme: Theme, width: int) -> None:
    nobody = visit(None, language, theme, width)
    nobody.open("/console/login")
    nobody.check_page()
    nobody.shoot("log-in")
    nobody.log_in(Role.ADMIN)
    page = nobody.open("/")
    nobody.check_page()
    nobody.shoot("overview")
    if width == NARROW:
        page.locator("button.menu").click()
        nobody.check_page()
        nobody.shoot("menu")
