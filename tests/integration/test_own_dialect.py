"""A site's own dialect, in the example's package: found through its entry point, used like any other."""

import asyncio
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from fake_node import FakeWork, modify, settings_for

from eomd.errors import ConfigurationError, EncodeError, FrameError
from eomd.evt.cluster import Cluster
from eomd.evt.codec import CODEC_GROUP, Event, Head, Rows, Session, load_codec
from eomd.evt.frame import ErrorCode, FrameType
from eomd.model import Mode, NodeAddress, RowStatus

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "eomd-plain-dialect"


def install(site, name, module, points):
    """Leave in `site` what an installer leaves of a package: its module and its metadata."""
    (site / f"{module.removesuffix('.py')}.py").write_bytes((EXAMPLE / module).read_bytes())
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"[{CODEC_GROUP}]", *(f"{key} = {value}" for key, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder for packages; imports and metadata are looked up in it too."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("eomd_plain_dialect", None)


@pytest.fixture
def plain(site):
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    install(site, project["name"], "eomd_plain_dialect.py", project["entry-points"][CODEC_GROUP])
    return load_codec("plain")


class PlainNode:
    """Serves the plain dialect; users above 900 are locked."""

    def __init__(self):
        self.values = Counter()

    async def serve(self, reader, writer):
        async for line in reader:
            number, verb, *rest = line.decode().split()
            if verb == "ping":
                answer = "pong"
            else:
                eids = rest[0].split(",")
                answer = " ".join(self._serve_row(verb, eids, word) for word in rest[1:])
            writer.write(f"{number} {answer}\n".encode())
        writer.close()

    def _serve_row(self, verb, eids, word):
        user, _, amounts = word.partition(":")
        old = [self.values[user, eid] for eid in eids]
        if verb == "get":
            return "ok:" + ",".join(map(str, old))
        if int(user) > 900:
            return "user_locked"
        for eid, amount in zip(eids, amounts.split(","), strict=True):
            self.values[user, eid] += int(amount)
        new = [self.values[user, eid] for eid in eids]
        return f"ok:{','.join(map(str, old))}/{','.join(map(str, new))}"


def test_an_operation_runs_over_a_dialect_that_was_only_installed(plain):
    async def main():
        node = PlainNode()
        server = await asyncio.start_server(node.serve, "127.0.0.1", 0)
        where = NodeAddress("127.0.0.1", server.sockets[0].getsockname()[1], 2)
        cluster = Cluster(settings_for(nodes=(where,), codec=plain, idle_s=0.02))
        await cluster.start()
        works = [modify(1000, eids=(1001, 1002)), FakeWork(1000, eids=(1002,))]
        for work in works:
            cluster.attach(work)
            await work.finished()
        assert cluster.idempotent is False
        assert works[0].count(RowStatus.OK) == 900
        assert works[0].count(RowStatus.USER_LOCKED) == 100
        assert works[0].after[:900].tolist() == [[1, 1]] * 900
        assert works[1].before[:, 0].tolist() == [1] * 900 + [0] * 100
        await cluster.close()
        server.close()
        await server.wait_closed()

    asyncio.run(main())


def test_the_example_refuses_what_it_cannot_say_and_what_it_cannot_read(plain):
    session = plain.open_session("fish", bytes(16))
    rows = Rows(np.zeros(1, np.uint32), np.ones(1, np.uint64), *[np.ones((1, 1), np.int64)] * 2)
    with pytest.raises(EncodeError):
        session.encode_requests(Head((1,), Mode.RESTORE, 1), rows, 1, 1)
    session.encode_requests(Head((1,), None, 0), Rows(rows.index, rows.users), 1, 5)
    for line in (b"6 ok:1\n", b"5 ok:1 ok:1\n", b"5 fine\n", b"five\n", b"\xff\n"):
        with pytest.raises(FrameError):
            session.receive(line)


def test_check_knows_a_codec_that_is_installed_and_names_one_that_is_not(site, tmp_path, plain):
    config = tmp_path / "eomd.toml"
    config.write_text('data_dir = "data"\n[clusters.fish]\nnodes = ["127.0.0.1:1"]\ncodec = "plain"\n')
    command = [sys.executable, "-m", "eomd", "check", "-c", str(config)]
    with_it = subprocess.run(
        command, env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=False
    )
    assert (with_it.returncode, with_it.stdout.splitlines()[0]) == (0, "configuration is good")
    without = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert without.returncode == 1
    assert without.stdout.startswith("[clusters.fish] codec: no codec named 'plain'")


def test_two_packages_with_one_codec_name_are_refused(site, plain):
    install(site, "other", "eomd_plain_dialect.py", {"plain": "eomd_plain_dialect:PlainSession"})
    with pytest.raises(ConfigurationError, match=r"several codecs.*PlainCodec.*PlainSession"):
        load_codec("plain")


@pytest.mark.parametrize(
    "value", ["no_such_module:Codec", "eomd_plain_dialect:Nothing", "eomd.errors:FieldProblem"]
)
def test_a_package_that_fails_is_named(site, plain, value):
    install(site, "broken", "eomd_plain_dialect.py", {"broken": value})
    with pytest.raises(ConfigurationError, match=f"'broken' \\({value}\\)"):
        load_codec("broken")


def test_the_protocol_page_names_everything_a_codec_needs():
    page = (EXAMPLE.parents[1] / "evt-protocol.md").read_text(encoding="utf-8")
    methods = [name for name in vars(Session) if name.startswith(("encode_", "rows_", "receive"))]
    assert len(methods) == 5
    statuses = [status.name for status in RowStatus if status <= RowStatus.INTERNAL]
    events = [event.__name__ for event in get_args(Event)]
    types = [frame_type.name for frame_type in FrameType]
    for word in (*methods, *statuses, *events, *types, *ErrorCode.__members__, CODEC_GROUP, EXAMPLE.name):
        assert word in page, word
