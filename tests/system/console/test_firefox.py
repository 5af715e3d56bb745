"""An operator's way once more in Firefox, which playwright cannot drive as Debian has it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.commands import run
from tests.system.console.site import PASSWORD, ConsoleSite
from tests.system.console.visitor import DATA, RAW_KEY, ROOT, SCREENSHOTS
from tests.world import wait_until

FIREFOX = "/usr/bin/firefox-esr"
WAY = ROOT / "web/tests/firefox.mjs"
PAGES = (
    "/",
    "/console/new",
    "/console/operations",
    "/console/clusters",
    *(
        f"/console/admin/{name}"
        for name in ("users", "tokens", "definitions", "recipes", "approval", "audit")
    ),
)


def test_an_operator_s_way_and_every_page(site: ConsoleSite, tmp_path: Path) -> None:
    source, downloads = tmp_path / "玩家名单.csv", tmp_path / "downloads"
    shutil.copy(DATA / "query-gb18030-carried.csv", source)
    for folder in (downloads, SCREENSHOTS):
        folder.mkdir(parents=True, exist_ok=True)
    asked = {
        "firefox": FIREFOX,
        "url": site.url,
        "password": PASSWORD,
        "source": str(source),
        "downloads": str(downloads),
        "pictures": str(SCREENSHOTS),
        "pages": PAGES,
    }
    told = json.loads(run("node", WAY, json.dumps(asked), deadline_s=600, HOME=str(tmp_path)))
    saved = downloads / "玩家名单-result.csv"
    result = site.client.operation(told["operation"])["resultname"]
    expected = site.client.download(result, query="")
    wait_until(lambda: saved.exists() and saved.stat().st_size == len(expected), "the download")
    assert saved.read_bytes() == expected
    assert told["complaints"] == []
    for address, text in told["pages"].items():
        assert RAW_KEY.findall(text) == [], address
        assert "eomd" in text, address
