"""What a person sets of a cluster: at once, remembered, and each of two orders that come together."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from eomd.errors import ConfigurationError, NotFoundError
from eomd.rooms import furnish
from tests.integration.life import CALLER, NOWHERE, Home, Life


def wishes(life: Life) -> dict[str, dict[str, object]]:
    return {
        view.name: {"rows_per_s": view.rows_per_s, "drain": view.drained} for view in life.desk.clusters()
    }


def test_what_was_set_wins_over_the_configuration_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": NOWHERE, "label": NOWHERE}, rows_per_s=500)
        async with home.life() as life:
            view = await life.desk.set_cluster("fish", CALLER, rows_per_s=70)
            assert (view.rows_per_s, view.drained, view.state) == (70, False, "down")
            assert (await life.desk.set_cluster("fish", CALLER, drain=True)).state == "drained"
            with pytest.raises(NotFoundError):
                await life.desk.set_cluster("qianpao", CALLER, drain=True)
        async with home.life() as life:
            assert wishes(life) == {
                "fish": {"rows_per_s": 70, "drain": True},
                "label": {"rows_per_s": 500, "drain": False},
            }
            await life.desk.set_cluster("fish", CALLER, drain=False)
        del home.clusters["fish"]
        async with home.life() as life:
            assert wishes(life) == {"label": {"rows_per_s": 500, "drain": False}}
        home.clusters["fish"] = NOWHERE
        async with home.life() as life:
            assert wishes(life)["fish"] == {"rows_per_s": 70, "drain": False}

    asyncio.run(scenario())


def test_orders_that_come_together_are_all_kept(tmp_path: Path) -> None:
    names = [f"cluster-{number}" for number in range(12)]

    async def scenario() -> None:
        home = Home(tmp_path, dict.fromkeys(names, NOWHERE))
        async with home.life() as life:
            orders = [life.desk.set_cluster(name, CALLER, rows_per_s=7) for name in names]
            orders += [life.desk.set_cluster(name, CALLER, drain=True) for name in names]
            await asyncio.gather(*orders)
        async with home.life() as life:
            assert wishes(life) == {name: {"rows_per_s": 7, "drain": True} for name in names}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"fish": null}', b'{"fish": {"drain": "no"}}', b'{"fish": {"x": 1}}']
)
def test_a_damaged_file_is_named_and_not_guessed_at(tmp_path: Path, content: bytes) -> None:
    home = Home(tmp_path, {"fish": NOWHERE})
    home.data.create()
    (home.data.path / "clusters.json").write_bytes(content)
    with pytest.raises(ConfigurationError, match="clusters"):
        furnish(home.settings(), home.data, None)


def test_what_is_kept_is_plain_to_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"fish": NOWHERE}).life() as life:
            await life.desk.set_cluster("fish", CALLER, rows_per_s=0, drain=True)
            kept = json.loads((life.data.path / "clusters.json").read_text())
            assert kept == {"fish": {"rows_per_s": 0, "drain": True}}

    asyncio.run(scenario())
