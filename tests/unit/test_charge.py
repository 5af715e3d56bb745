"""What the watchdog is told of the configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eomd.cli.charge import make_charge
from eomd.config import load_settings
from eomd.errors import EomdError
from eomd.watchdog.charge import Charge

EVERYTHING = """
data_dir = "data"
[ledger]
url = "mysql+pymysql://eomd@db:3306/CVS"
password_file = "secret"
[clusters.fish]
nodes = ["127.0.0.1:1:20", "[::1]:2"]
[inbox.recipes.daily]
cluster = "fish"
model = "modify"
mode = "inc"
amount = 5
eids = [1001]
"""


def test_json_keeps_all_of_a_charge(tmp_path: Path) -> None:
    config = tmp_path / "eomd.toml"
    config.write_text(EVERYTHING)
    charge = make_charge(load_settings(config, {}))
    assert Charge.from_json(charge.to_json()) == charge
    assert charge.clusters[0].nodes[0].connections == 20
    assert charge.ledger.password_file == tmp_path / "secret"
    assert charge.inbox.recipes["daily"]["mode"] == "inc"


@pytest.mark.parametrize(
    "change",
    [
        {"new": 1},
        {"watchdog": {}},
        {"clusters": [{"name": "fish"}]},
        {"log": {"level": "info", "format": "text", "new": 1}},
        {"inbox": None},
    ],
)
def test_what_another_version_wrote_is_refused_in_words(tmp_path: Path, change: dict[str, object]) -> None:
    charge = make_charge(load_settings(None, {"EOMD_DATA_DIR": str(tmp_path)}))
    written = json.loads(charge.to_json())
    with pytest.raises(EomdError, match="another version of eomd"):
        Charge.from_json(json.dumps({**written, **change}))
    for missing in written:
        with pytest.raises(EomdError, match="another version of eomd"):
            Charge.from_json(json.dumps({name: value for name, value in written.items() if name != missing}))
    with pytest.raises(EomdError, match="another version of eomd"):
        Charge.from_json("no JSON")


def test_the_embedded_default_has_no_file(tmp_path: Path) -> None:
    charge = make_charge(load_settings(None, {"EOMD_DATA_DIR": str(tmp_path)}))
    assert Charge.from_json(charge.to_json()) == charge
    assert (charge.source, charge.clusters_folder) == (None, None)


def test_a_password_in_the_environment_shows_nowhere_else(tmp_path: Path) -> None:
    environ = {"EOMD_DATA_DIR": str(tmp_path), "EOMD_LEDGER__PASSWORD": "geheim"}
    charge = make_charge(load_settings(None, environ))
    assert charge.secrets == ["geheim"]
    assert "geheim" not in repr(charge)
