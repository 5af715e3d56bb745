"""What a browser loads before the overview stands there, and after it."""

from __future__ import annotations

from typing import NamedTuple

from playwright.sync_api import Response, expect

from eomd.model import Role
from tests.system.console.conftest import Visit

SCRIPT_BYTES_MAX = 400 * 1024


class Loaded(NamedTuple):
    name: str
    asked_ms: float
    came_ms: float
    bytes: int


def test_the_overview_s_script_is_light_and_packed(visit: Visit) -> None:
    visitor = visit(Role.ADMIN)
    scripts: dict[str, Response] = {}

    def note(response: Response) -> None:
        if response.url.endswith(".js"):
            scripts[response.url] = response

    visitor.page.on("response", note)
    visitor.open("/")
    # nothing comes after the charts
    expect(visitor.page.locator("canvas")).to_have_count(2)
    assert len(scripts) > 3
    responses = list(scripts.values())
    assert {response.header_value("content-encoding") for response in responses} == {"gzip"}
    weight = sum(int(response.header_value("content-length") or 0) for response in responses)
    assert 0 < weight < SCRIPT_BYTES_MAX, weight


def test_charts_are_asked_for_after_all_else(visit: Visit) -> None:
    visitor = visit(Role.ADMIN)
    visitor.open("/")
    expect(visitor.page.locator("canvas")).to_have_count(2)
    script = """performance.getEntriesByType("resource").filter((entry) => entry.name.endsWith(".js"))
        .map((entry) => [entry.name, entry.startTime, entry.responseEnd, entry.encodedBodySize])"""
    loaded = [Loaded(*entry) for entry in visitor.page.evaluate(script)]
    (charts,) = [entry for entry in loaded if "echarts" in entry.name]
    (overview,) = [entry for entry in loaded if "OverviewPage" in entry.name]
    assert charts.asked_ms > overview.came_ms
    first = sum(entry.bytes for entry in loaded if entry.asked_ms < overview.came_ms)
    assert 0 < first < SCRIPT_BYTES_MAX / 2, first
