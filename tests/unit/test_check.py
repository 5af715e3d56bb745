"""What `eomd check` and a start remark on although it stops nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eomd.cli.check import find_hints
from eomd.config import Settings


def hints(**tables: Any) -> list[str]:
    return list(find_hints(Settings.model_validate({"data_dir": Path("/"), **tables})))


def test_defaults_are_not_remarked_on() -> None:
    assert hints() == []


def test_settings_in_force_are_not_remarked_on() -> None:
    assert hints(watchdog={"heartbeat_s": 0.1}, auth={"enabled": False}, limits={"rows": 5}) == []
    assert hints(modify={"refuse_repeats": True}, approval={"rows": 1000}) == []
    assert hints(inbox={"quiet_s": 1.0}) == []


def test_a_cluster_that_is_not_configured_is_named() -> None:
    recipe = {"cluster": "fish", "model": "query", "eids": [1]}
    named = hints(inbox={"recipes": {"daily": recipe}}, approval={"clusters": ["label"]})
    assert "[inbox.recipes.daily] cluster: no cluster fish is configured" in named
    assert "[approval] clusters: no cluster label is configured" in named
