"""The real thing for browsers: eomd under its watchdog, simulated clusters, somebody of every role."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eomd.model import Role
from tests.watched import tree
from tests.world import Client, World

PASSWORD = "correct horse battery"
#: of each role one: their name is the role's
NAMES = {Role.VIEWER: "王芳", Role.OPERATOR: "李雷", Role.APPROVER: "Zhang", Role.ADMIN: "Chen"}
FREE = {"minimum": 0, "maximum": None, "editable": True}
DEFINITIONS = {
    "clusters": [{"name": "fish", "title": "捕鱼集群"}, {"name": "label", "title": "标签集群"}],
    "eids": [
        {"cluster": cluster, "eid": eid, "name": name, "unit": unit, **FREE}
        for cluster, eid, name, unit in [
            ("fish", 1001, "活动积分", "分"),
            ("fish", 1002, "累计消耗", "金币"),
            ("label", 1001, "标签权重", ""),
        ]
    ],
}  # fmt: skip


class ConsoleSite:
    """One installation, and how to ask it beside the browser."""

    def __init__(self, world: World, token: str) -> None:
        self.world = world
        #: an admin's, for preparing and for comparing
        self.client = Client(world.port, token)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.world.port}"

    def add_people(self) -> None:
        for role, name in NAMES.items():
            user = {"name": role.format(), "operatorid": 100 + int(role), "operatorname": name}
            answer = self.client.post("/users", {**user, "role": role.format(), "password": PASSWORD})
            assert answer.status == 201, answer.body

    def define(self, definitions: Any = None) -> None:
        self.send("PUT", "/nosdata", definitions or DEFINITIONS)

    def set_cluster(self, cluster: str, **change: Any) -> None:
        """Change a cluster's pace (`rows_per_s`), or park its operations (`drain`)."""
        self.send("PATCH", f"/clusters/{cluster}", change)

    def send(self, method: str, path: str, data: Any) -> None:
        headers = {"Content-Type": "application/json"}
        answer = self.client.request(method, path, json.dumps(data).encode(), headers)
        assert answer.status == 200, answer.body


@contextmanager
def open_console_site(folder: Path, extra: str = "", *flags: str) -> Iterator[ConsoleSite]:
    """Yield a site; `extra` is TOML of further tables, `flags` are the simulators'."""
    world = World(folder)
    try:
        for cluster in ("fish", "label"):
            world.simulate(cluster, 2, *flags)
        world.configure(extra=extra)
        without = "[auth]\nenabled = false"
        text = world.config.read_text()
        assert without in text
        world.config.write_text(text.replace(without, "[auth]\nenabled = true"))
        world.serve("up")
        made = world.run("token", "add", "test", "--role", "admin")
        assert made.returncode == 0, made.stderr
        site = ConsoleSite(world, made.stdout.strip())
        site.add_people()
        site.define()
        yield site
    finally:
        for process in tree(world):
            process.kill()
        world.close()
