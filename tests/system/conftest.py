"""Fixtures of the system tests: real processes in folders of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.watched import tree
from tests.world import World, open_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield from open_world(tmp_path)


@pytest.fixture
def watch(world: World) -> Iterator[Callable[..., World]]:
    """Start a server under a watchdog; `watchdog` is that table's TOML, `codec` the clusters'."""

    def start(watchdog: str = "", codec: str = "evt1") -> World:
        if not world.simulations:
            world.simulate()
        world.configure(extra=f"[watchdog]\n{watchdog}\n")
        text = world.config.read_text()
        world.config.write_text(text.replace("reply_timeout_s", f'codec = "{codec}"\nreply_timeout_s'))
        world.serve("up")
        return world

    yield start
    for process in tree(world):
        process.kill()


@pytest.fixture
def watched(watch: Callable[..., World]) -> World:
    """A world whose server is under a watchdog."""
    return watch()
