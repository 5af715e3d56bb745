"""Requests made from the OpenAPI page, few and the same each time: none is answered by a fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from eomd.handlers.openapi import describe_api
from eomd.handlers.routes import make_routes
from eomd.model import Role
from tests.integration.http_site import DEADLINE_S, Site, open_site

EXAMPLES = 6
MODES = {"fitting": GenerationMode.POSITIVE, "wrong": GenerationMode.NEGATIVE}
SCHEMA = schemathesis.openapi.from_dict(describe_api(make_routes()))
OPERATIONS = {result.ok().label: result.ok() for result in SCHEMA.get_all_operations()}
#: what a fault of ours would show
INTERNALS = ("traceback", ".py", "sqlite", "sqlalchemy", "pymysql", "pydantic", "eomd_operation")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), {"fish": "127.0.0.1:1:1"}) as opened:
        yield opened


def ask(site: Site, case: Any, role: Role) -> tuple[int, str]:
    """Return status and the beginning of the answer: a stream has no end."""
    address = f"http://127.0.0.1:{site.port}/api/v1"
    asked = case.as_transport_kwargs(base_url=address)
    asked["headers"] = {**(asked.get("headers") or {}), "Authorization": f"Bearer {site.tokens[role]}"}
    with requests.request(**asked, stream=True, timeout=DEADLINE_S) as answer:
        return answer.status_code, next(answer.iter_content(4096), b"").decode("utf-8", "replace")


def test_every_path_is_asked() -> None:
    described = [route for route in make_routes() if not (route.internal or route.console)]
    public = {f"{method} {route.path}" for route in described for method in route.methods}
    assert public == set(OPERATIONS)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("label", OPERATIONS)
def test_no_request_meets_a_fault(site: Site, label: str, mode: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[label].as_strategy(generation_mode=MODES[mode]))
    def fuzz(case: Any) -> None:
        status, text = ask(site, case, Role.ADMIN)
        assert status < 500, text
        if status >= 400 and label.partition(" ")[0] != "HEAD":
            assert '"error":' in text
            assert not [word for word in INTERNALS if word in text.lower()]

    fuzz()
