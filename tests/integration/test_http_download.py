"""Downloads over real HTTP: whole, in parts, unchanged, by curl and by Python, with Chinese names."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from urllib.request import Request, urlopen

import pytest

from eomd.evt.simulator import SimulatedCluster, SimulatorSettings
from eomd.handlers.download_source import PIECE_BYTES
from eomd.model import Role
from tests.integration.http_site import CONFIG, Answer, Site, open_site

BOM = b"\xef\xbb\xbf"
ROWS = 30_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with SimulatedCluster(SimulatorSettings(fill=1)) as fish, open_site(folder, {"fish": fish}) as opened:
        yield opened


@pytest.fixture(scope="module")
def operation(site: Site) -> Any:
    """An operation of many rows, every tenth of which fails."""
    users = [user if user % 10 else 10**12 + user for user in range(1, ROWS + 1)]
    content = "userid,备注\n" + "".join(f"{user},第{user}行\n" for user in users)
    answer = site.hand_in(CONFIG, content.encode(), "玩家 名单.csv")
    assert answer.status == 201, answer.body
    return site.ended(answer.data["id"])


@pytest.fixture(scope="module")
def whole(site: Site, operation: Any) -> bytes:
    answer = site.get(f"/download?name={operation['resultname']}")
    assert answer.status == 200
    return answer.body


def fetch(site: Site, operation: Any, query: str = "", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return site.request("GET", f"/download?name={operation['resultname']}{query}", headers=named)


def test_a_result_is_the_file_with_a_bom_for_excel(site: Site, operation: Any, whole: bytes) -> None:
    stored = site.data.result(operation["id"]).read_bytes()
    assert whole == BOM + stored
    assert len(whole) > 3 * PIECE_BYTES
    assert fetch(site, operation, "&bom=0").body == stored
    assert stored.count(b"\n") == ROWS + 1


def test_headers_say_what_it_is(site: Site, operation: Any, whole: bytes) -> None:
    headers = fetch(site, operation).headers
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["Content-Length"] == str(len(whole))
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert parsedate_to_datetime(headers["Last-Modified"]).tzinfo is not None
    plain, _, encoded = headers["Content-Disposition"].partition("; filename*=UTF-8''")
    assert plain == 'attachment; filename="__ __-result.csv"'
    assert unquote(encoded) == "玩家 名单-result.csv"


def test_head_has_the_headers_of_get_and_no_body(site: Site, operation: Any) -> None:
    get = fetch(site, operation)
    head = site.request("HEAD", f"/download?name={operation['resultname']}")
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Length", "ETag", "Content-Type", "Content-Disposition", "Last-Modified"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    "wanted", [(0, 1), (0, 3), (2, 5), (3, 10), (100, 100 + PIECE_BYTES), (PIECE_BYTES - 1, 3 * PIECE_BYTES)]
)
def test_a_range_counts_the_bom(site: Site, operation: Any, whole: bytes, wanted: tuple[int, int]) -> None:
    start, stop = wanted
    answer = fetch(site, operation, Range=f"bytes={start}-{stop - 1}")
    assert (answer.status, answer.body) == (206, whole[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(whole)}"


def test_open_and_suffix_ranges(site: Site, operation: Any, whole: bytes) -> None:
    assert fetch(site, operation, Range=f"bytes={len(whole) - 5}-").body == whole[-5:]
    assert fetch(site, operation, Range="bytes=-7").body == whole[-7:]
    several = fetch(site, operation, Range="bytes=0-1,5-6")
    assert (several.status, several.body) == (200, whole)


def test_a_range_outside_of_the_file_is_refused_in_json(site: Site, operation: Any, whole: bytes) -> None:
    answer = fetch(site, operation, Range=f"bytes={len(whole)}-")
    assert (answer.status, answer.error) == (416, "BAD_REQUEST")
    assert answer.headers["Content-Range"] == f"bytes */{len(whole)}"


def test_a_known_etag_saves_the_transfer(site: Site, operation: Any, whole: bytes) -> None:
    etag = fetch(site, operation).headers["ETag"]
    unchanged = fetch(site, operation, If_None_Match=f'"x", {etag}')
    assert (unchanged.status, unchanged.body, unchanged.headers["ETag"]) == (304, b"", etag)
    assert fetch(site, operation, If_None_Match='"x"').status == 200
    assert fetch(site, operation, "&bom=0").headers["ETag"] != etag
    assert fetch(site, operation, "&rows=failed").headers["ETag"] != etag
    assert fetch(site, operation, Range="bytes=0-1", If_Range=etag).status == 206
    assert fetch(site, operation, Range="bytes=0-1", If_Range='"x"').body == whole


def test_failed_rows_alone(site: Site, operation: Any) -> None:
    answer = fetch(site, operation, "&rows=failed")
    lines = answer.body.removeprefix(BOM).decode().splitlines()
    assert len(lines) == 1 + ROWS // 10
    assert all(line.split(",")[2] == "NO_SUCH_USER" for line in lines[1:])
    assert answer.headers["Content-Length"] == str(len(answer.body))
    part = fetch(site, operation, "&rows=failed", Range="bytes=10-19")
    assert part.body == answer.body[10:20]


def test_source_and_log_come_as_they_are(site: Site, operation: Any) -> None:
    source = site.get(f"/download?name={operation['sourcename']}")
    assert source.body == site.data.source(operation["id"]).read_bytes()
    assert unquote(source.headers["Content-Disposition"]).endswith("''玩家 名单.csv")
    log = site.get(f"/download?name={operation['logname']}")
    assert log.headers["Content-Type"].startswith("text/plain")
    assert not log.body.startswith(BOM)


def test_curl_saves_and_resumes(site: Site, operation: Any, whole: bytes, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{site.port}/download?name={operation['resultname']}"
    curl = ["curl", "-sS", "-f", "-H", f"Authorization: Bearer {site.tokens[Role.VIEWER]}"]
    subprocess.run([*curl, "-OJ", url], cwd=tmp_path, check=True)
    (saved,) = tmp_path.iterdir()
    assert saved.read_bytes() == whole
    saved.write_bytes(whole[:1000])
    subprocess.run([*curl, "-C", "-", "-o", str(saved), url], check=True)
    assert saved.read_bytes() == whole


def test_python_reads_it(site: Site, operation: Any, whole: bytes) -> None:
    url = f"http://127.0.0.1:{site.port}/api/v1/download?name={operation['resultname']}"
    request = Request(url, headers={"Authorization": f"Bearer {site.tokens[Role.VIEWER]}"})
    with urlopen(request) as response:
        assert response.read() == whole


def test_a_client_that_leaves_does_not_keep_the_file_open(site: Site, operation: Any) -> None:
    connection = site.connect()
    headers = {"Authorization": f"Bearer {site.tokens[Role.VIEWER]}"}
    connection.request("GET", f"/download?name={operation['resultname']}", headers=headers)
    response = connection.getresponse()
    response.read(10)
    response.close()
    connection.close()
    assert fetch(site, operation, Range="bytes=0-2").body == BOM
