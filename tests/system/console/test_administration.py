"""Users, tokens, definitions, what is in force, and the audit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from eomd.model import Role
from tests.system.console.conftest import Visit
from tests.system.console.site import DEFINITIONS, PASSWORD, ConsoleSite, open_console_site
from tests.system.console.steps import add_user, fill_in_log_in
from tests.system.console.visitor import NARROW, WIDE, Language, Theme
from tests.world import Client

RULES = """
[approval]
rows = 50000
largest_amount = 10000
clusters = ["label"]
hours = ["20:00-08:00"]
time_zone = "Asia/Shanghai"

[inbox.recipes.daily]
cluster = "fish"
model = "modify"
eids = [1001, 1002]
mode = "inc"
amount = 5
canary_rows = 100
operatorid = 7
operatorname = "李"

[inbox.recipes.look]
cluster = "label"
model = "query"
eids = [1001]
"""


# the one that other pages' tests share stays as it is: definitions change here
@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    with open_console_site(tmp_path_factory.mktemp("administration"), RULES) as opened:
        yield opened


def row_of(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


def status_of(site: ConsoleSite, token: str) -> int:
    return Client(site.world.port, token).request("GET", "/session").status


def definitions_of(site: ConsoleSite) -> dict[int, dict[str, object]]:
    """Return those of the cluster fish."""
    return {
        entry["eid"]: entry for entry in site.client.get("/nosdata")["eids"] if entry["cluster"] == "fish"
    }


# --- users


def test_who_is_added_logs_in_and_reaches_what_is_granted(visit: Visit) -> None:
    page = visit(Role.ADMIN).open("/console/admin/users")
    page.get_by_role("button", name="Add a user").click()
    dialog = page.get_by_role("dialog", name="Add a user")
    dialog.get_by_label("User name").fill("sun")
    dialog.get_by_label("Operator id").fill("9007199254740993")
    dialog.get_by_label("Operator's name").fill("孙")
    dialog.get_by_label("New password").fill(PASSWORD)
    dialog.get_by_label("only these clusters").check()
    dialog.get_by_label("捕鱼集群 (fish)").check()
    dialog.get_by_label("only these EIDs").check()
    dialog.get_by_label("Search by name or number").fill("活动")
    dialog.get_by_label("活动积分 (1001)").check()
    dialog.get_by_role("button", name="Add a user").click()
    expect(dialog).to_have_count(0)
    row = row_of(page, "sun")
    expect(row).to_contain_text("operator")
    expect(row).to_contain_text("9007199254740993")
    expect(row.get_by_role("listitem")).to_have_text(["捕鱼集群 (fish)", "活动积分 (1001)"])

    other = visit()
    theirs = other.open("/console/login?back=/console/admin/definitions")
    fill_in_log_in(theirs, "sun")
    expect(theirs.get_by_role("heading", level=3)).to_have_text(re.compile("捕鱼集群"))
    expect(theirs.locator("tbody").get_by_role("rowheader")).to_have_text(["1001"])
    theirs.get_by_role("button", name="My account").click()
    account = theirs.get_by_role("dialog", name="My account")
    expect(account.get_by_role("listitem")).to_have_text(["捕鱼集群 (fish)", "活动积分 (1001)"])
    page.reload()
    expect(row_of(page, "sun").get_by_role("time")).to_be_visible()


def test_each_wrong_field_is_named_the_server_s_refusals_too(visit: Visit) -> None:
    visitor = visit(Role.ADMIN)
    visitor.allow("status of 400")
    page = visitor.open("/console/admin/users")
    page.get_by_role("button", name="Add a user").click()
    dialog = page.get_by_role("dialog")
    fields = {"User name": "Sun", "Operator id": "-1", "Operator's name": " ", "New password": "short"}
    for label, text in fields.items():
        dialog.get_by_label(label).fill(text)
    dialog.get_by_label("only these EIDs").check()
    dialog.get_by_role("button", name="Add a user").click()
    for label in fields:
        expect(dialog.get_by_label(label)).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_role("alert").filter(has_text="Choose at least one")).to_be_visible()
    right = {"User name": "wu", "Operator id": "501", "Operator's name": "吴", "New password": "password1234"}
    for label, text in right.items():
        dialog.get_by_label(label).fill(text)
    dialog.get_by_label("all EIDs", exact=True).check()
    dialog.get_by_role("button", name="Add a user").click()
    password = dialog.get_by_label("New password")
    expect(password).to_have_attribute("aria-invalid", "true")
    for label in list(right)[:3]:
        expect(dialog.get_by_label(label)).not_to_have_attribute("aria-invalid", "true")
    password.fill(PASSWORD)
    dialog.get_by_label("User name").fill("admin")
    dialog.get_by_role("button", name="Add a user").click()
    expect(dialog.get_by_text("Somebody else has this already.")).to_be_visible()


def test_role_and_name_change_and_what_is_not_touched_stays(visit: Visit, site: ConsoleSite) -> None:
    add_user(site, "zhou", 510, clusters=["fish"])
    page = visit(Role.ADMIN).open("/console/admin/users")
    page.get_by_role("button", name="Change zhou").click()
    dialog = page.get_by_role("dialog", name="Change zhou")
    expect(dialog.get_by_label("捕鱼集群 (fish)")).to_be_checked()
    dialog.get_by_label("Operator's name").fill("周")
    dialog.get_by_label("Role", exact=True).select_option("approver")
    # meanwhile somebody else grants more
    site.send("PATCH", "/users/zhou", {"clusters": ["fish", "label"]})
    dialog.get_by_role("button", name="Save").click()
    expect(row_of(page, "zhou")).to_contain_text("approver")
    user = next(user for user in site.client.get("/users") if user["name"] == "zhou")
    assert (user["operatorname"], user["role"], user["clusters"]) == ("周", "approver", ["fish", "label"])


def test_nobody_takes_the_administration_from_themselves(visit: Visit) -> None:
    page = visit(Role.ADMIN).open("/console/admin/users")
    expect(page.get_by_role("button", name="Disable approver")).to_be_visible()
    expect(page.get_by_role("button", name="Disable admin")).to_have_count(0)
    page.get_by_role("button", name="Change admin").click()
    expect(page.get_by_role("dialog").get_by_label("Role", exact=True)).to_be_disabled()


def test_who_is_disabled_is_out_until_enabled_and_a_set_password_counts(
    visit: Visit, site: ConsoleSite
) -> None:
    add_user(site, "qian", 520)
    visitor = visit()
    visitor.allow("status of 401")
    theirs = visitor.open("/console/login")
    fill_in_log_in(theirs, "qian")
    expect(theirs.get_by_role("heading", level=1)).to_have_text("Overview")
    page = visit(Role.ADMIN).open("/console/admin/users")
    page.get_by_role("button", name="Disable qian").click()
    question = page.get_by_role("dialog", name="Disable")
    question.get_by_role("button", name="Cancel").click()
    expect(row_of(page, "qian")).to_contain_text("may log in")
    page.get_by_role("button", name="Disable qian").click()
    question.get_by_role("button", name="Disable").click()
    expect(row_of(page, "qian")).to_contain_text("disabled since")
    theirs.reload()
    expect(theirs).to_have_url(re.compile("/console/login"))
    fill_in_log_in(theirs, "qian")
    expect(theirs.get_by_role("alert").first).to_have_text("Name or password is wrong.")
    page.get_by_role("button", name="Enable qian").click()
    expect(row_of(page, "qian")).to_contain_text("may log in")
    page.get_by_role("button", name="Set password of qian").click()
    dialog = page.get_by_role("dialog", name="Set password of qian")
    dialog.get_by_label("New password").fill("another long sentence")
    dialog.get_by_role("button", name="Set password").click()
    expect(dialog).to_have_count(0)
    fill_in_log_in(theirs, "qian", "another long sentence")
    expect(theirs.get_by_role("heading", level=1)).to_have_text("Overview")


# --- tokens


def test_a_token_works_as_it_was_made_until_it_is_revoked(visit: Visit, site: ConsoleSite) -> None:
    page = visit(Role.ADMIN).open("/console/admin/tokens")
    page.get_by_role("button", name="Make a token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Make a token").click()
    expect(dialog.get_by_text("Please fill this in.")).to_be_visible()
    dialog.get_by_label("Name", exact=True).fill("nightly job")
    dialog.get_by_label("Role", exact=True).select_option("viewer")
    dialog.get_by_label("Valid for days").fill("30")
    dialog.get_by_label("Whose").select_option("operator")
    dialog.get_by_label("only these clusters").check()
    dialog.get_by_label("捕鱼集群 (fish)").check()
    dialog.get_by_role("button", name="Make a token").click()
    dialog = page.get_by_role("dialog", name="Token nightly job")
    token = dialog.get_by_label("Token", exact=True).input_value()
    # it would be lost
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_role("status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == token
    who = Client(site.world.port, token).get("/session")
    assert (who["role"], who["operatorid"], who["clusters"]) == ("viewer", 100 + int(Role.OPERATOR), ["fish"])
    dialog.get_by_role("button", name="I have kept it").click()
    expect(page.get_by_text(token)).to_have_count(0)
    row = row_of(page, "nightly job")
    expect(row).to_contain_text("李雷 (101)" if int(Role.OPERATOR) == 1 else "李雷")
    expect(row).to_contain_text("in 29 days")
    page.get_by_role("button", name="Revoke nightly job").click()
    page.get_by_role("dialog", name="Revoke").get_by_role("button", name="Revoke").click()
    expect(row).to_have_count(0)
    assert status_of(site, token) == 401
    page.get_by_label("expired and revoked").check()
    expect(row).to_contain_text("revoked")


# --- definitions


def test_definitions_are_edited_told_and_saved_as_a_whole(visit: Visit, site: ConsoleSite) -> None:
    site.define()
    page = visit(Role.ADMIN).open("/console/admin/definitions")
    page.get_by_role("button", name="Change EID 1001 of fish").click()
    dialog = page.get_by_role("dialog", name="Change EID 1001 of fish")
    dialog.get_by_label("Name").fill("积分")
    dialog.get_by_label("Highest value").fill("-1")
    dialog.get_by_role("button", name="Take over").click()
    expect(dialog.get_by_label("Highest value")).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_label("Name")).not_to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Highest value").fill("9,223,372,036,854,775,807")
    dialog.get_by_role("button", name="Take over").click()
    page.get_by_role("button", name="Add an EID to fish").click()
    dialog = page.get_by_role("dialog", name="Add an EID to fish")
    dialog.get_by_label("EID", exact=True).fill("1002")
    dialog.get_by_role("button", name="Take over").click()
    expect(dialog.get_by_text("has this EID already")).to_be_visible()
    dialog.get_by_label("EID", exact=True).fill("4294967295")
    dialog.get_by_label("Name").fill("新计数器")
    dialog.get_by_label("May be modified").uncheck()
    dialog.get_by_role("button", name="Take over").click()
    page.get_by_role("button", name="Remove EID 1002 of fish").click()
    page.get_by_role("region", name="标签集群").get_by_label("Title").first.fill("标签")
    page.get_by_role("button", name="Remove EID 1001 of label").click()
    changes = page.get_by_role("region", name="Changes not saved yet", exact=True).get_by_role("listitem")
    expect(changes).to_have_text(
        [
            "label: title from 标签集群 to 标签",
            "fish: EID 1001 (积分): Name from 活动积分 to 积分; "
            "Highest value from nothing to 9,223,372,036,854,775,807",
            "fish: EID 1002 (累计消耗) removed",
            "fish: EID 4294967295 (新计数器) added",
            "label: EID 1001 (标签权重) removed",
        ]
    )
    expect(page.get_by_text("No EID is left for label")).to_be_visible()
    expect(page.get_by_role("cell", name="新计数器")).to_have_text("新计数器 not saved")
    assert definitions_of(site)[1001]["name"] == "活动积分"
    page.get_by_role("button", name="Save all of this").click()
    expect(changes).to_have_count(0)
    saved = definitions_of(site)
    assert list(saved) == [1001, 4294967295]
    assert (saved[1001]["name"], saved[1001]["unit"], saved[1001]["maximum"]) == ("积分", "分", 2**63 - 1)
    assert saved[4294967295]["editable"] is False
    page.get_by_label("Search by EID, name or unit").fill("新计")
    expect(page.locator("tbody").get_by_role("rowheader")).to_have_text(["4294967295"])


def test_what_others_saved_meanwhile_is_kept_and_told(visit: Visit, site: ConsoleSite) -> None:
    site.define()
    page = visit(Role.ADMIN).open("/console/admin/definitions")
    page.get_by_role("button", name="Remove EID 1002 of fish").click()
    theirs = json.loads(json.dumps(DEFINITIONS))
    theirs["eids"][0]["unit"] = "点"
    site.define(theirs)
    page.get_by_role("button", name="Save all of this").click()
    expect(page.get_by_role("alert").filter(has_text="Somebody else has saved")).to_be_visible()
    assert list(definitions_of(site)) == [1001, 1002]
    expect(row_of(page, "1001").first).to_contain_text("点")
    page.get_by_role("button", name="Save all of this").click()
    expect(page.get_by_role("button", name="Save all of this")).to_have_count(0)
    assert [(eid, entry["unit"]) for eid, entry in definitions_of(site).items()] == [(1001, "点")]


def test_who_leaves_with_changes_is_asked(visit: Visit, site: ConsoleSite) -> None:
    site.define()
    page = visit(Role.ADMIN).open("/console/admin/definitions")
    page.get_by_role("button", name="Remove EID 1002 of fish").click()
    page.get_by_role("link", name="Recipes").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=2).first).to_have_text("Counter definitions")
    page.get_by_role("link", name="Recipes").click()
    page.get_by_role("dialog").get_by_role("button", name="Leave").click()
    expect(page.get_by_role("heading", level=2).first).to_have_text("Recipes")


# --- what is in force, what was done


def test_recipes_and_approval_rules_stand_there_in_words(visit: Visit, site: ConsoleSite) -> None:
    site.define()
    page = visit(Role.VIEWER).open("/console/admin/recipes")
    daily = page.get_by_role("region", name="daily")
    said = "Adds 5 to 活动积分 (1001) and 累计消耗 (1002) in 捕鱼集群 (fish), for each player in the file."
    expect(daily).to_contain_text(said)
    expect(daily).to_contain_text("The first 100 rows are sent and read back before the others.")
    expect(daily).to_contain_text("李 (7)")
    expect(page.get_by_role("region", name="look")).to_contain_text(
        "Reads 标签权重 (1001) in 标签集群 (label)"
    )
    page.get_by_role("link", name="Approval rules").click()
    expect(page.get_by_role("main").get_by_role("list").last.get_by_role("listitem")).to_have_text(
        [
            "it has more than 50,000 rows",
            "an amount, its sign aside, is larger than 10,000",
            "it is for 标签集群 (label)",
            "it is handed in within 20:00–08:00 (Asia/Shanghai)",
        ]
    )
    expect(page.get_by_text("after 24 hours")).to_be_visible()


def test_the_audit_s_filter_stands_in_the_address(visit: Visit, site: ConsoleSite) -> None:
    for number in range(60):
        token = {"name": f"many{number}", "role": "viewer", "eids": [1001, 1002]}
        assert site.client.post("/tokens", token).status == 201
    page = visit(Role.ADMIN).open("/console/admin/audit?action=add_token&who=token")
    expect(page.get_by_label("Who")).to_have_value("token")
    expect(page.get_by_label("What")).to_have_value("add_token")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(50)
    expect(rows.first).to_contain_text("name: many59")
    expect(rows.first.locator("td").nth(1)).to_have_text("token test")
    expect(rows.first).to_contain_text("EIDs: 1001, 1002")
    expect(rows.first).to_contain_text("clusters: all")
    page.get_by_role("link", name="Older").click()
    expect(page).to_have_url(re.compile("action=add_token&who=token&before="))
    expect(rows.first).to_contain_text("name: many9")
    address = page.url
    page.get_by_role("link", name="Newest").click()
    expect(rows.first).to_contain_text("name: many59")
    page.go_back()
    expect(page).to_have_url(address)
    expect(rows.first).to_contain_text("name: many9")
    page.get_by_label("Who").fill("user admin")
    page.get_by_label("What").select_option("log_in")
    page.get_by_label("From").fill("2026-01-01T00:00")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("who=user%20admin|who=user\\+admin"))
    expect(page).to_have_url(re.compile("from=2025-12-31T16:00:00.000Z"))
    expect(rows.first).to_contain_text("log in")
    expect(rows.first.locator("td").nth(1)).to_have_text("admin")
    page.get_by_label("Before").fill("2026-01-02T00:00")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("Nothing of the kind was done.")).to_be_visible()


# --- who may


def test_who_may_not_is_told_what_it_takes(visit: Visit, site: ConsoleSite) -> None:
    page = visit(Role.APPROVER).open("/")
    for address in ("users", "tokens", "audit"):
        page.goto(f"/console/admin/{address}")
        expect(page.get_by_role("main")).to_have_text("This page is for the role admin and above.")
    page.goto("/console/admin/definitions")
    expect(page.get_by_text("Changing them is for the role admin without limits.")).to_be_visible()
    expect(page.get_by_role("button", name="Add an EID")).to_have_count(0)

    add_user(site, "half", 530, role="admin", clusters=["fish"])
    limited = visit().log_in_as("half").open("/console/admin/users")
    expect(limited.get_by_role("alert").filter(has_text="the role admin without limits")).to_be_visible()
    links = limited.get_by_role("navigation", name="Administration").get_by_role("link")
    expect(links).to_have_text(["Counter definitions", "Recipes", "Approval rules"])
    links.first.click()
    expect(limited.get_by_role("heading", level=3)).to_have_count(1)


def test_a_user_is_added_by_keyboard_alone(visit: Visit) -> None:
    page = visit(Role.ADMIN).open("/console/admin/users")
    button = page.get_by_role("button", name="Add a user")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Add a user")
    expect(dialog.get_by_label("User name")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    for text in ("kong", "540", "孔"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    expect(dialog.get_by_label("Role", exact=True)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(dialog.get_by_label("New password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(row_of(page, "kong")).to_contain_text("viewer")
    expect(button).to_be_focused()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_it_looks_as_it_should(
    visit: Visit, site: ConsoleSite, language: Language, theme: Theme, width: int
) -> None:
    site.define()
    visitor = visit(Role.ADMIN, language, theme, width)

    def look(name: str) -> None:
        visitor.check_page()
        visitor.shoot(name)

    def look_at_dialog(button: Locator, name: str) -> None:
        button.click()
        page.get_by_role("dialog").wait_for()
        look(name)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)

    main = visitor.page.get_by_role("main")
    for name in ("users", "tokens", "definitions", "recipes", "approval", "audit"):
        page = visitor.open(f"/console/admin/{name}")
        main.locator("table, .panel p:visible").first.wait_for()
        look(f"admin-{name}")
        if name == "users":
            look_at_dialog(page.locator(".page-head button"), "admin-users-add")
            look_at_dialog(main.locator("tbody button").nth(1), "admin-users-password")
        elif name == "tokens":
            page.locator(".page-head button").click()
            page.locator("dialog input[type=radio]").last.check()
            page.locator("dialog [type=submit]").click()
            look("admin-tokens-add")
            page.keyboard.press("Escape")
        elif name == "definitions":
            look_at_dialog(main.locator("tbody button").first, "admin-definitions-eid")
            main.locator("tbody button").nth(1).click()
            main.locator(".save").wait_for()
            look("admin-definitions-changes")
    if width == NARROW:
        page.locator("button.menu").click()
    look_at_dialog(page.locator("button.account"), "account")
    visitor.open("/console/enter")
    look("enter")
