"""What a browser loads before the overview stands there."""

from __future__ import annotations

from playwright.sync_api import Response

from eomd.model import Role
from tests.system.console.conftest import Visit

SCRIPT_BYTES_MAX = 400 * 1024


def test_the_overview_s_script_is_light_and_packed(visit: Visit) -> None:
    visitor = visit(Role.ADMIN)
    scripts: dict[str, Response] = {}

    def note(response: Response) -> None:
        if response.url.endswith(".js"):
            scripts[response.url] = response

    visitor.page.on("response", note)
    visitor.open("/")
    visitor.page.wait_for_load_state("load")
    assert len(scripts) > 3
    assert {response.header_value("content-encoding") for response in scripts.values()} == {"gzip"}
    weight = sum(int(response.header_value("content-length") or 0) for response in scripts.values())
    assert 0 < weight < SCRIPT_BYTES_MAX, weight
