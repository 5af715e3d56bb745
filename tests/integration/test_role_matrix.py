"""Every path, called by everybody. A new path fails here until it has its row in the table."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from eomd.handlers.routes import make_routes
from eomd.model import Role
from tests.integration.http_site import CONFIG, Site, open_site
from tests.integration.test_sessions import Browser, add_user

NOBODY, VIEWER, OPERATOR, APPROVER, ADMIN = None, Role.VIEWER, Role.OPERATOR, Role.APPROVER, Role.ADMIN

#: (the least role, whether somebody may call it to whom only some clusters and EIDs are granted; `own`: where
#: its operation or cluster is among them)
TABLE: dict[str, tuple[Role | None, bool | str]] = {
    "POST /query": (OPERATOR, True),
    "POST /modify": (OPERATOR, True),
    "GET /queryoperationsbyoperatorid": (VIEWER, True),
    "POST /queryoperationsbyoperatorid": (VIEWER, True),
    "POST /upload": (OPERATOR, True),
    "GET /download": (VIEWER, True),
    "HEAD /download": (VIEWER, True),
    "GET /operations/{id}": (VIEWER, "own"),
    "GET /operations/{id}/events": (VIEWER, "own"),
    "GET /operations/{id}/rows": (VIEWER, "own"),
    "GET /operations/{id}/summary": (VIEWER, "own"),
    "GET /operations/{id}/timeline": (VIEWER, "own"),
    "POST /operations/{id}/cancel": (OPERATOR, "own"),
    "POST /operations/{id}/pause": (OPERATOR, "own"),
    "POST /operations/{id}/resume": (OPERATOR, "own"),
    "GET /operations/{id}/settle": (OPERATOR, "own"),
    "POST /operations/{id}/settle": (APPROVER, "own"),
    "POST /operations/{id}/commit": (OPERATOR, "own"),
    "POST /operations/{id}/retry": (OPERATOR, "own"),
    "POST /operations/{id}/undo": (OPERATOR, "own"),
    "POST /operations/{id}/approve": (APPROVER, "own"),
    "POST /operations/{id}/reject": (APPROVER, "own"),
    "GET /operations/{id}/evidence": (APPROVER, "own"),
    "GET /events": (VIEWER, True),
    "GET /clusters": (VIEWER, True),
    "PATCH /clusters/{name}": (ADMIN, "own"),
    "GET /nosdata": (VIEWER, True),
    "PUT /nosdata": (ADMIN, False),
    "GET /session": (VIEWER, True),
    "POST /session": (NOBODY, True),
    "DELETE /session": (VIEWER, True),
    "PUT /session/password": (VIEWER, True),
    "GET /users": (ADMIN, False),
    "POST /users": (ADMIN, False),
    "PATCH /users/{name}": (ADMIN, False),
    "GET /tokens": (ADMIN, False),
    "POST /tokens": (ADMIN, False),
    "DELETE /tokens/{id}": (ADMIN, False),
    "GET /approval": (VIEWER, True),
    "GET /recipes": (VIEWER, True),
    "GET /audit": (ADMIN, False),
    "GET /diary": (VIEWER, False),
    "GET /activity": (VIEWER, True),
    "GET /incidents": (VIEWER, True),
    "GET /health": (NOBODY, True),
    "HEAD /health": (NOBODY, True),
    "GET /metrics": (NOBODY, False),
    "GET /openapi.json": (NOBODY, True),
    "GET /": (NOBODY, True),
    "HEAD /": (NOBODY, True),
    "GET /console": (NOBODY, True),
    "HEAD /console": (NOBODY, True),
    "GET /console/{page}": (NOBODY, True),
    "HEAD /console/{page}": (NOBODY, True),
    "GET /console/operations/{id}": (NOBODY, True),
    "HEAD /console/operations/{id}": (NOBODY, True),
    "GET /console/admin/{page}": (NOBODY, True),
    "HEAD /console/admin/{page}": (NOBODY, True),
    "GET /console/assets/{name}": (NOBODY, True),
    "HEAD /console/assets/{name}": (NOBODY, True),
}

ROUTES = [(f"{method} {route.path}", route.internal) for route in make_routes() for method in route.methods]
PUBLIC = [name for name, internal in ROUTES if not internal]
INTERNAL = [name for name, internal in ROUTES if internal]
REFUSED = {401, 403}


@dataclass
class World:
    """A site, somebody of every kind, and an operation of each of two clusters."""

    site: Site
    own: int
    other: int
    sessions: dict[Role, Browser] = field(default_factory=dict)
    limited: dict[Role, str] = field(default_factory=dict)

    def call(
        self, name: str, headers: dict[str, str], operation: int = 999_999, cluster: str = "none"
    ) -> int:
        """Return the status alone: some answers have no end. Bodies are empty objects."""
        method, _, path = name.partition(" ")
        path = path.replace("{id}", str(operation)).replace("{name}", cluster)
        body = b"{}" if method in ("POST", "PUT", "PATCH", "DELETE") else None
        own = {"Content-Type": "application/json"} if body else {}
        connection = self.site.connect()
        try:
            connection.request(method, path, body, own | headers)
            return connection.getresponse().status
        finally:
            connection.close()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    nowhere = {"fish": "127.0.0.1:1:1", "label": "127.0.0.1:1:1"}
    with open_site(tmp_path_factory.mktemp("site"), nowhere) as site:
        made = [site.hand_in({**CONFIG, "cluster": c, "wait_s": 0}).data["id"] for c in ("fish", "label")]
        world = World(site, *made)
        for role in Role:
            assert add_user(site, role.format(), int(role), role.format()).status == 201
            world.sessions[role] = Browser(site)
            assert world.sessions[role].log_in(role.format()).status == 201
            world.limited[role] = site.make_token(role.format(), clusters=["fish"])
        yield world


def test_every_path_has_its_row() -> None:
    assert sorted(set(PUBLIC) - set(TABLE)) == []


@pytest.mark.parametrize("name", PUBLIC)
def test_nobody_calls_what_is_not_for_everybody(world: World, name: str) -> None:
    least, _ = TABLE[name]
    for headers in (
        {},
        bearer("eomd_" + "x" * 43),
        {"Cookie": "eomd_session=x"},
        {"Authorization": "Basic eDp4"},
    ):
        status = world.call(name, headers)
        assert status == 401 if least is not None else status not in REFUSED, headers


@pytest.mark.parametrize("role", list(Role), ids=Role.format)
@pytest.mark.parametrize("name", PUBLIC)
def test_a_token_opens_what_its_role_covers(world: World, name: str, role: Role) -> None:
    least, _ = TABLE[name]
    status = world.call(name, bearer(world.site.tokens[role]))
    if least is not None and role < least:
        assert status == 403
    elif name == "GET /queryoperationsbyoperatorid" or name == "POST /queryoperationsbyoperatorid":
        # everybody's operations, which is more than one's own
        assert status == (403 if role < Role.APPROVER else 200)
    else:
        assert status not in REFUSED
        assert status < 500


@pytest.mark.parametrize("role", list(Role), ids=Role.format)
@pytest.mark.parametrize("name", PUBLIC)
def test_a_session_opens_as_much_and_changes_nothing_without_the_page_s_word(
    world: World, name: str, role: Role
) -> None:
    least, _ = TABLE[name]
    browser = world.sessions[role]
    cookie = {"Cookie": f"eomd_session={browser.cookie}"}
    changes = name.partition(" ")[0] not in ("GET", "HEAD")
    if least is not None and changes:
        assert world.call(name, cookie) == 403
    if name == "DELETE /session":
        # would end the session of the tests to come
        return
    status = world.call(name, {**cookie, "X-XSRF-Token": browser.word})
    if least is not None and role < least:
        assert status == 403
    else:
        assert status not in REFUSED
        assert status < 500


@pytest.mark.parametrize("role", list(Role), ids=Role.format)
@pytest.mark.parametrize("name", PUBLIC)
def test_who_is_limited_reaches_what_is_granted_alone(world: World, name: str, role: Role) -> None:
    least, granted = TABLE[name]
    headers = bearer(world.limited[role])
    if least is not None and role < least:
        assert world.call(name, headers, world.own, "fish") == 403
        return
    if granted == "own":
        assert world.call(name, headers, world.own, "fish") not in REFUSED
        assert world.call(name, headers, world.other, "label") == 403
    elif granted is False:
        assert world.call(name, headers) == 403
    elif not name.endswith("/queryoperationsbyoperatorid") or role >= Role.APPROVER:
        assert world.call(name, headers) not in REFUSED


@pytest.mark.parametrize("name", INTERNAL)
def test_what_the_watchdog_says_is_heard_from_nobody_else(world: World, name: str) -> None:
    for headers in ({}, bearer(world.site.tokens[ADMIN]), bearer(world.limited[ADMIN])):
        assert world.call(name, headers) == http.client.NOT_FOUND
