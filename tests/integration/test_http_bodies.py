"""Bodies: refusals before they are read, limits, broken ones, and that nothing is left behind."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eomd.handlers import base
from eomd.model import Role
from tests.integration.http_site import CONFIG, DEADLINE_S, Answer, Site, multipart, open_site, wait_until

MEGABYTE = 2**20
UPLOAD_MB = 8


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    limits = {"upload_mb": UPLOAD_MB}
    with open_site(tmp_path_factory.mktemp("site"), {"label": "127.0.0.1:1:1"}, limits=limits) as opened:
        yield opened


def headers_of(site: Site, path: str, *lines: str, role: Role | None = Role.OPERATOR) -> bytes:
    own = [f"Authorization: Bearer {site.tokens[role]}"] if role else []
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *own, *lines, "", ""]).encode()


def open_raw(site: Site) -> socket.socket:
    return socket.create_connection(("127.0.0.1", site.port), timeout=DEADLINE_S)


def read_answer(raw: socket.socket) -> Answer:
    response = http.client.HTTPResponse(raw)
    response.begin()
    return Answer(response)


KIND = "Content-Type: multipart/form-data; boundary=b"


# --- refusals before the body


def test_a_refusal_comes_before_the_body_is_sent(site: Site) -> None:
    with open_raw(site) as raw:
        raw.sendall(headers_of(site, "/query", KIND, "Content-Length: 5000000", role=None))
        answer = read_answer(raw)
        assert (answer.status, answer.error) == (401, "UNAUTHENTICATED")
        assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize("path", ["/query", "/upload", "/nowhere", "/clusters"])
def test_who_sends_the_whole_body_first_still_gets_the_refusal(site: Site, path: str) -> None:
    body = b"x" * (20 * MEGABYTE)
    with open_raw(site) as raw:
        raw.sendall(headers_of(site, path, KIND, f"Content-Length: {len(body)}", role=None))
        raw.sendall(body)
        answer = read_answer(raw)
        assert answer.status in (401, 404, 405)
        # a clean end, no reset
        assert raw.recv(1) == b""


def test_who_sends_chunks_first_still_gets_the_refusal(site: Site) -> None:
    with open_raw(site) as raw:
        raw.sendall(headers_of(site, "/query", KIND, "Transfer-Encoding: chunked", role=None))
        for _ in range(20):
            raw.sendall(b"100000\r\n" + b"x" * MEGABYTE + b"\r\n")
        raw.sendall(b"0\r\n\r\n")
        assert read_answer(raw).status == 401
        assert raw.recv(1) == b""


def test_an_endless_body_is_not_read_for_ever(site: Site) -> None:
    with open_raw(site) as raw:
        raw.sendall(headers_of(site, "/query", KIND, "Content-Length: 1000000000000", role=None))
        with pytest.raises(OSError):
            for _ in range(1000):
                raw.sendall(b"x" * MEGABYTE)


@pytest.mark.parametrize(
    "extra", [["-H", "Expect:"], ["-H", "Expect: 100-continue"], ["-H", "Transfer-Encoding: chunked"]]
)
@pytest.mark.parametrize(("role", "status"), [(None, "401"), (Role.VIEWER, "403"), (Role.OPERATOR, "413")])
def test_curl_sees_the_refusal_of_a_large_upload(
    site: Site, tmp_path: Path, extra: list[str], role: Role | None, status: str
) -> None:
    large = tmp_path / "large.csv"
    large.write_bytes(b"1\n" * (10 * MEGABYTE))
    own = ["-H", f"Authorization: Bearer {site.tokens[role]}"] if role else []
    command = ["curl", "-sS", "-w", "\n%{http_code}", *own, *extra, "-F", f"file=@{large}"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{site.port}/upload"], capture_output=True, text=True, check=False
    )
    body, _, code = done.stdout.rpartition("\n")
    assert (done.returncode, code) == (0, status), done.stderr
    assert json.loads(body)["code"] // 100 == int(status)
    wait_until(site.nothing_staged, "the receiving folder is empty")


def test_leave_to_send_the_body_is_given_only_to_those_who_may(site: Site) -> None:
    kind, body = multipart(
        {"config": json.dumps({**CONFIG, "cluster": "label", "wait_s": 0}).encode(), "file": (b"x", b"1\n")}
    )
    lines = [f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Expect: 100-continue"]
    with open_raw(site) as raw:
        raw.sendall(headers_of(site, "/query", *lines))
        assert raw.recv(1000).startswith(b"HTTP/1.1 100")
        raw.sendall(body)
        assert read_answer(raw).status == 201
    with open_raw(site) as raw:
        raw.sendall(headers_of(site, "/query", *lines, role=None))
        assert read_answer(raw).status == 401
        # a client with leave to send nothing more sends nothing more
        raw.shutdown(socket.SHUT_WR)
        assert raw.recv(1000) == b""


def test_a_connection_goes_on_after_a_refusal_without_a_body(site: Site) -> None:
    connection = site.connect()
    for _ in range(2):
        connection.request("GET", "/clusters")
        response = connection.getresponse()
        response.read()
        assert response.status == 401
    connection.close()


# --- limits


def test_the_upload_limit_holds_from_the_first_byte_over_it(site: Site) -> None:
    for size, status in ((UPLOAD_MB * MEGABYTE, 201), (UPLOAD_MB * MEGABYTE + 1, 413)):
        kind, body = multipart({"file": (b"x.csv", b"1\n" * (size // 2) + b"1" * (size % 2))})
        answer = site.request("POST", "/upload", body, {"Content-Type": kind})
        assert answer.status == status, answer.body
    assert answer.data == {"limit": "limits.upload_mb", "value": UPLOAD_MB}
    wait_until(site.nothing_staged, "the receiving folder is empty")


def test_a_config_part_has_its_limit(site: Site) -> None:
    kind, body = multipart({"config": b" " * (65 * 1024), "file": (b"x", b"1\n")})
    answer = site.request("POST", "/query", body, {"Content-Type": kind})
    assert (answer.status, answer.data["limit"]) == (413, "config")


def test_a_wrong_config_is_refused_before_the_file(site: Site) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="config"\r\n\r\n{"cluster": 5}\r\n--b\r\n'
    with open_raw(site) as raw:
        raw.sendall(headers_of(site, "/query", KIND, "Content-Length: 5000000") + head)
        answer = read_answer(raw)
        assert (answer.status, answer.error) == (400, "INVALID_CONFIG")


def test_headers_have_their_limit(site: Site) -> None:
    with open_raw(site) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")
        with suppress(ConnectionResetError):
            assert raw.recv(1) == b""
    assert site.get("/health").status == 200


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: x"],
        ["Content-Length: -1"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip"],
        ["Content-Length: 5", "Content-Length: 6"],
    ],
)
def test_a_body_of_unclear_length_is_refused(site: Site, lines: list[str]) -> None:
    with open_raw(site) as raw:
        raw.sendall(headers_of(site, "/query", KIND, *lines) + b"hello")
        answer = read_answer(raw)
        assert (answer.status, answer.error) == (400, "BAD_REQUEST")
    assert site.get("/health").status == 200


# --- broken bodies


def test_a_sender_who_hangs_up_leaves_nothing(site: Site) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    with open_raw(site) as raw:
        raw.sendall(headers_of(site, "/upload", KIND, "Content-Length: 5000000") + head + b"1\n" * MEGABYTE)
        wait_until(site.staged, "the file is being received")
    wait_until(site.nothing_staged, "the receiving folder is empty")


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"file": (b"x", b"1\n")}, "'config' is missing"),
        ({"config": json.dumps({**CONFIG, "cluster": "label"}).encode()}, "'file' is missing"),
        ({"fiel": (b"x", b"1\n")}, "'fiel' is unknown"),
    ],
)
def test_parts_are_named_in_a_refusal(
    site: Site, parts: dict[str, bytes | tuple[bytes, bytes]], reason: str
) -> None:
    kind, body = multipart(parts)
    answer = site.request("POST", "/query", body, {"Content-Type": kind})
    assert (answer.status, answer.error) == (400, "BAD_REQUEST")
    assert reason in answer.json["msg"]


def test_a_part_may_stand_there_once(site: Site) -> None:
    _, body = multipart({"file": (b"x", b"1\n")}, "b")
    doubled = body.replace(b"--b--\r\n", b"") + body
    answer = site.request("POST", "/upload", doubled, {"Content-Type": "multipart/form-data; boundary=b"})
    assert (answer.status, "twice" in answer.json["msg"]) == (400, True)
    wait_until(site.nothing_staged, "the receiving folder is empty")


@pytest.mark.parametrize("cut", [1, 5, 20, 100])
def test_a_body_that_ends_early_leaves_nothing(site: Site, cut: int) -> None:
    kind, body = multipart({"file": (b"x.csv", b"1\n" * 100)})
    answer = site.request("POST", "/upload", body[: -cut - 3], {"Content-Type": kind})
    assert (answer.status, answer.error) == (400, "BAD_REQUEST")
    wait_until(site.nothing_staged, "the receiving folder is empty")


_PIECES = st.sampled_from(
    [
        b"--b\r\n", b"--b--\r\n", b"--b--", b"\r\n", b"\n", b"--", b"b", b"\x00", b"1\n2\n", b"x" * 1000,
        b'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n',
        b'Content-Disposition: form-data; name="config"\r\n\r\n',
        b'Content-Disposition: form-data; name="file"\r\n',
        b"Content-Disposition: \xff\xfe\r\n\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Type: text/csv\r\n\r\n",
        b'{"cluster": "label"}', b"{", b": \r\n\r\n", b"A" * 9000 + b": x\r\n",
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(_PIECES | st.binary(max_size=50), max_size=12), st.sampled_from(["/query", "/modify", "/upload"])
)
def test_any_body_gets_a_clean_answer(site: Site, pieces: list[bytes], path: str) -> None:
    kind = "multipart/form-data; boundary=b"
    answer = site.request("POST", path, b"".join(pieces), {"Content-Type": kind})
    assert answer.status in (201, 400, 413), answer.body
    assert answer.json["code"] == 0 or answer.json["error"] in (
        "BAD_REQUEST",
        "INVALID_CONFIG",
        "INVALID_FILE",
        "TOO_LARGE",
    )
    wait_until(site.nothing_staged, "the receiving folder is empty")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80).filter(lambda text: not set(text) & set("\r\n\0")))
def test_any_content_type_gets_a_clean_answer(site: Site, kind: str) -> None:
    value = ("multipart/form-data; boundary" + kind).encode("utf-8").decode("latin-1")
    if any(ord(c) < 32 or ord(c) == 127 for c in value):
        return
    answer = site.request("POST", "/upload", b"--b--\r\n", {"Content-Type": value})
    assert (answer.status, answer.error) == (400, "BAD_REQUEST")


def test_a_body_that_drips_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {**CONFIG, "cluster": "label", "wait_s": 0}
    assert site.hand_in(config).status == 201
    monkeypatch.setattr(base, "UNHURRIED_S_MAX", 0.0)
    monkeypatch.setattr(base, "BODY_BYTES_PER_S_MIN", 1e15)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        site.hand_in(config)
    wait_until(site.nothing_staged, "the receiving folder is empty")
