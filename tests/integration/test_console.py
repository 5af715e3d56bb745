"""How the console's files are served: to whom, under which policy, and nothing beside them."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from eomd.handlers.console_files import Console
from eomd.handlers.routes import make_routes
from tests.integration.http_site import Answer, Site, open_site

PAGE = b"<!doctype html><title>eomd</title>"
SCRIPT = b"console.assert(true);" * 100
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Console:
    folder = tmp_path_factory.mktemp("console")
    (folder / "assets").mkdir()
    (folder / "secret.txt").write_text("not to be sent")
    for name, content in {
        "index.html": PAGE,
        "assets/index-1.js": SCRIPT,
        "assets/mark-2.svg": b"<svg/>",
    }.items():
        (folder / name).write_bytes(content)
    for name in ("index.html", "assets/index-1.js"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    return Console.read(folder)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), {"fish": "127.0.0.1:1:1"}) as site:
        yield site


@pytest.fixture
def site(opened: Site, built: Console) -> Site:
    opened.rooms.context.console = built
    return opened


def fetch(site: Site, path: str, method: str = "GET", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return site.request(method, path, headers=named, role=None)


def addresses() -> list[str]:
    """Return the addresses of pages, as the page's own router has them."""
    router = (ROOT / "web/src/router.ts").read_text(encoding="utf-8")
    absolute = re.findall(r'path: "(/(?:console[^"]*)?)"', router)
    names = re.search(r"ADMIN_PAGES = \[(.*)\]", router)
    assert names is not None
    below = [f"/console/admin/{name}" for name in re.findall(r'"(\w+)"', names[1])]
    return [re.sub(r":id\(.*?\)", "12", path) for path in absolute] + below


def test_the_router_s_addresses_are_read() -> None:
    assert {"/", "/console/new", "/console/operations/12", "/console/login", "/console/admin/users"} <= set(
        addresses()
    )


@pytest.mark.parametrize("address", addresses())
def test_every_address_of_a_page_is_the_page_also_without_a_log_in(site: Site, address: str) -> None:
    answer = fetch(site, address + "?state=running&q=x")
    assert (answer.status, answer.body) == (200, PAGE)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_the_page_may_load_what_is_ours_and_run_nothing_written_into_it(site: Site) -> None:
    headers = fetch(site, "/").headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


def test_the_page_is_asked_for_again_and_its_files_never(site: Site) -> None:
    page, script = fetch(site, "/"), fetch(site, "/console/assets/index-1.js")
    assert page.headers["Cache-Control"] == "no-cache"
    assert "immutable" in script.headers["Cache-Control"]
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    for path, answer in (("/", page), ("/console/assets/index-1.js", script)):
        again = fetch(site, path, If_None_Match=answer.headers["ETag"])
        assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip, deflate, br", True), ("br;q=1, GZIP;q=0.5", True), ("*", True),
     ("", False), ("br", False), ("gzip;q=0, br", False), ("xgzip", False)],
)  # fmt: skip
def test_files_are_sent_packed_to_who_takes_that(site: Site, accepted: str, packed: bool) -> None:
    answer = fetch(site, "/console/assets/index-1.js", Accept_Encoding=accepted)
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(answer.body) if packed else answer.body) == SCRIPT


def test_packed_and_plain_are_told_apart(site: Site) -> None:
    plain, packed = fetch(site, "/"), fetch(site, "/", Accept_Encoding="gzip")
    assert plain.headers["ETag"] != packed.headers["ETag"]
    assert fetch(site, "/", Accept_Encoding="gzip", If_None_Match=plain.headers["ETag"]).status == 200


def test_what_was_not_packed_is_sent_as_it_is(site: Site) -> None:
    answer = fetch(site, "/console/assets/mark-2.svg", Accept_Encoding="gzip")
    assert (answer.body, answer.headers["Content-Type"]) == (b"<svg/>", "image/svg+xml")


@pytest.mark.parametrize("path", ["/", "/console/new", "/console/assets/index-1.js"])
def test_head_says_as_much_without_the_content(site: Site, path: str) -> None:
    answer, got = fetch(site, path, "HEAD"), fetch(site, path)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(got.body))
    assert answer.headers["ETag"] == got.headers["ETag"]


@pytest.mark.parametrize(
    "path",
    ["/console/assets/none.js", "/console/assets/..%2Fsecret.txt", "/console/assets/../secret.txt",
     "/console/assets/%2Fetc%2Fpasswd", "/console/assets/index-1.js.gz", "/console/assets/",
     "/console/operations/1/2", "/console/admin/x/y", "/api/v1/console/new"],
)  # fmt: skip
def test_nothing_else_is_sent(site: Site, path: str) -> None:
    answer = fetch(site, path)
    assert (answer.status, answer.error) == (404, "NOT_FOUND")
    assert answer.headers["Cache-Control"] == "no-store"


def test_nothing_is_changed_there(site: Site) -> None:
    assert fetch(site, "/console/new", "POST").status == 405


def test_the_api_says_under_its_prefix_where_the_console_is(site: Site) -> None:
    assert fetch(site, "/api/v1/").data["console"] == "/"


def test_who_has_not_built_it_is_told_how(site: Site, tmp_path: Path) -> None:
    site.rooms.context.console = Console.read(tmp_path)
    root = fetch(site, "/").data
    assert (root["service"], root["api"]) == ("eomd", "/api/v1")
    assert "scripts/build-console" in root["console"]
    page = fetch(site, "/console/new")
    assert (page.status, page.error) == (404, "NOT_FOUND")
    assert "scripts/build-console" in page.json["msg"]


def test_all_of_it_is_for_reading() -> None:
    routes = [route for route in make_routes() if route.console]
    assert {method for route in routes for method in route.methods} == {"GET", "HEAD"}
