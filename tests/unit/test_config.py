"""eomd.toml, clusters.d and the environment become settings, or every problem at once."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

from eomd import config
from eomd.config import Settings, load_settings
from eomd.config_tables import Tables
from eomd.errors import ConfigurationError
from eomd.model import NodeAddress

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "eomd.toml"


def load(file: Path, text: str, **environ: str) -> Settings:
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ)


def problems(file: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(file, text, **environ)
    return [problem.replace(f"{file.parent}/", "") for problem in caught.value.problems]


# --- what is accepted


def test_without_any_file_the_embedded_default_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "SYSTEM_FILE", tmp_path / "absent.toml")
    settings = load_settings(None, {"XDG_STATE_HOME": str(tmp_path)})
    assert settings.source is None
    assert settings.data_dir == tmp_path / "eomd"
    assert settings.ledger_url == f"sqlite:///{tmp_path}/eomd/eomd.db"
    assert settings.clusters == {}


def test_the_data_folder_of_the_default_follows_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert config.default_data_dir({}) == Path("/var/lib/eomd")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert config.default_data_dir({"HOME": "/home/ann"}) == Path("/home/ann/.local/state/eomd")


def test_the_file_is_the_argument_then_the_environment_then_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {name: tmp_path / f"{name}.toml" for name in ("argument", "environment", "system")}
    for path in named.values():
        path.write_text("")
    monkeypatch.setattr(config, "SYSTEM_FILE", named["system"])
    environ = {"EOMD_CONFIG": str(named["environment"])}
    assert load_settings(named["argument"], environ).source == named["argument"]
    assert load_settings(None, environ).source == named["environment"]
    assert load_settings(None, {}).source == named["system"]


def test_the_example_holds_every_key_and_says_the_defaults(file: Path) -> None:
    text = (ROOT / "etc/eomd.toml").read_text(encoding="utf-8")
    example = tomllib.loads(text)
    assert _key_paths(Settings.model_validate(load(file, "").model_dump())) <= _dotted(example)
    settings = load(file, text)
    bare = load(file, "data_dir = '/var/lib/eomd'")
    for name in set(Tables.model_fields) - {"clusters", "inbox"}:
        assert getattr(settings, name) == getattr(bare, name), name


def _key_paths(settings: Tables) -> set[str]:
    tables = {
        name: getattr(settings, name) for name in Tables.model_fields if name not in ("data_dir", "clusters")
    }
    keys = {f"{name}.{key}" for name, table in tables.items() for key in type(table).model_fields}
    # a password has no place in an example; recipes are tables
    return keys - {"ledger.password", "inbox.recipes"} | {"data_dir"}


def _dotted(raw: dict[str, object], prefix: str = "") -> set[str]:
    keys: set[str] = set()
    for name, value in raw.items():
        keys |= _dotted(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return keys


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("127.0.0.1:30717:20", NodeAddress("127.0.0.1", 30717, 20)),
        ("node.example:1", NodeAddress("node.example", 1, 4)),
        ("[::1]:30717", NodeAddress("::1", 30717, 4)),
        ("[2001:db8::7]:30717:8", NodeAddress("2001:db8::7", 30717, 8)),
    ],
)
def test_a_node_is_host_port_and_connections(file: Path, text: str, node: NodeAddress) -> None:
    settings = load(file, f"[clusters.fish]\nnodes = ['{text}']")
    assert settings.clusters["fish"].nodes == (node,)


@pytest.mark.parametrize(
    "text", ["host", "host:0", "host:65536", "::1:30717", "a:1:0", "a:1:2:3", "[::1]", ":1", ""]
)
def test_what_is_no_node_is_refused(file: Path, text: str) -> None:
    (problem,) = problems(file, f"[clusters.fish]\nnodes = ['{text}']")
    assert problem.startswith("eomd.toml line 2: [clusters.fish] nodes, item 1: expected host:port")


def test_a_relative_data_folder_stands_beside_the_file(file: Path) -> None:
    assert load(file, "data_dir = 'data'").data_dir == file.parent / "data"


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("sqlite:///eomd.db", "sqlite:////data/eomd.db"),
        ("sqlite:////elsewhere/x.db", "sqlite:////elsewhere/x.db"),
        ("mysql+pymysql://user@host:3306/CVS", "mysql+pymysql://user@host:3306/CVS"),
    ],
)
def test_the_ledgers_address_is_made_absolute(file: Path, url: str, absolute: str) -> None:
    assert load(file, f"data_dir = '/data'\n[ledger]\nurl = '{url}'").ledger_url == absolute


def test_windows_line_ends_and_a_bom_are_taken(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf[log]\r\nlevel = 'debug'\r\n")
    assert load_settings(file, {}).log.level == "debug"


def test_settings_cannot_be_changed(file: Path) -> None:
    settings = load(file, "")
    with pytest.raises(ValueError, match="frozen"):
        settings.server.listen = "127.0.0.1:1"


# --- what is refused, where, and what was expected


#: (file, line of the problem, the problem)
WRONG = [
    ("[server]\n\nlisen = 3", 3, "[server] lisen: unknown key; did you mean listen?"),
    ("lisen = 3", 1, "lisen: unknown key here; did you mean listen in [server]?"),
    (
        "[limits]\nrows_per_s = 1",
        2,
        "[limits] rows_per_s: unknown key here; did you mean rows_per_s in [clusters]?",
    ),
    ("[sever]\nlisten = 'x'", 1, "sever: unknown key; did you mean server?"),
    ("[server]\nlisten = 8600", 2, "[server] listen: expected text, found 8600"),
    ("[server]\nlisten = '127.0.0.1'", 2, '[server] listen: expected host:port, found "127.0.0.1"'),
    ("[server]\ntls_cert = 'x'", 1, "[server]: tls_cert and tls_key: expected both or neither"),
    ("[limits]\nrows = '5'", 2, '[limits] rows: expected a whole number, found "5"'),
    ("[limits]\nrows = 0", 2, "[limits] rows: expected 1 or more, found 0"),
    ("[limits]\nunknown_eids = 'x'", 2, '[limits] unknown_eids: expected "refuse" or "allow", found "x"'),
    ("[auth]\nenabled = 1", 2, "[auth] enabled: expected true or false, found 1"),
    ("[auth]\nmis_networks = '10.0.0.0/8'", 2, '[auth] mis_networks: expected a list, found "10.0.0.0/8"'),
    ("[modify]\nbrake_failed_share = 1.5", 2, "[modify] brake_failed_share: expected at most 1.0, found 1.5"),
    ("[ledger]\nurl = 'sqlite://'", 2, "[ledger] url: expected sqlite:/// and a file's name"),
    ("[clusters.fish]\ntitle = ''", 1, "[clusters.fish] nodes: is missing"),
    ("[clusters]\nfish = 3", 2, "[clusters] fish: expected a table, found 3"),
    ("data_dir = 5", 1, "data_dir: expected text, found 5"),
    (
        "[server]\nlisten = 'unix:x'",
        2,
        '[server] listen: expected unix: and an absolute path of at most 107 bytes, found "unix:x"',
    ),
    (
        "[watchdog]\nrestart_backoff_s = [9, 1]",
        2,
        "[watchdog] restart_backoff_s: expected the first pause, then the longest, found [9, 1]",
    ),
    (
        "[ledger]\ntable = 'a b'",
        2,
        '[ledger] table: expected a table\'s name: letters, digits and _, found "a b"',
    ),
    (
        "[ledger]\ntime_zone = 'Mars/X'",
        2,
        "[ledger] time_zone: expected a time zone of this machine such as Asia/Shanghai, or UTC, "
        'found "Mars/X"',
    ),
    (
        "[clusters.Fish]\nnodes = ['a:1']",
        1,
        "[clusters] Fish: expected a cluster's name: a lower-case letter, then lower-case letters, "
        'digits and -, found "Fish"',
    ),
    (
        "[clusters.fish]\nnodes = ['a:1', 'a:1:2']",
        2,
        "[clusters.fish] nodes: the node a:1 is named twice, found ['a:1', 'a:1:2']",
    ),
    (
        "[inbox.recipes.day]\ncluster = 'fish'\nmodel = 'modify'\neids = [1]",
        1,
        "[inbox.recipes] day: mode: expected inc, dec or set for a modify, and none for a query",
    ),
]


@pytest.mark.parametrize(("text", "line", "problem"), WRONG)
def test_a_problem_names_its_line_and_what_was_expected(
    file: Path, text: str, line: int, problem: str
) -> None:
    assert problems(file, text) == [f"eomd.toml line {line}: {problem}"]


def test_all_problems_are_told_at_once(file: Path) -> None:
    text = "[server]\nlisten = '0.0.0.0:1'\n[auth]\nenabled = false\n[limits]\nrows = 0\nrow = 1\n"
    text += "[log]\nlevel = 'x'"
    found = problems(file, text, EOMD_LOG__FORMAT="x")
    assert [one.partition(":")[0] for one in found] == [
        "eomd.toml line 6",
        "eomd.toml line 7",
        "eomd.toml line 9",
        "environment EOMD_LOG__FORMAT",
        "eomd.toml line 2",
    ]


@pytest.mark.parametrize("listen", ["0.0.0.0:8600", "[::]:8600", "192.0.2.1:80", "eomd.example:80"])
def test_other_than_loopback_needs_authentication(file: Path, listen: str) -> None:
    assert load(file, f"[server]\nlisten = '{listen}'").server.listen == listen
    (problem,) = problems(file, f"[server]\nlisten = '{listen}'\n[auth]\nenabled = false")
    assert "other than loopback only with auth.enabled" in problem


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:8600", "[::1]:8600", "localhost:8600", "unix:/run/eomd/http.sock"]
)
def test_loopback_needs_none(file: Path, listen: str) -> None:
    load(file, f"[server]\nlisten = '{listen}'\n[auth]\nenabled = false")


def test_what_is_no_toml_names_its_line(file: Path) -> None:
    (problem,) = problems(file, "[server]\nlisten =\n")
    assert problem.startswith("eomd.toml: not good TOML:")
    assert "line 2" in problem


def test_bytes_that_are_not_utf8_name_their_line(file: Path) -> None:
    file.write_bytes("[clusters.fish]\ntitle = '捕鱼'".encode("gbk"))
    with pytest.raises(ConfigurationError, match="line 2: not UTF-8"):
        load_settings(file, {})


def test_a_file_that_is_named_but_absent_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent.toml: No such file"):
        load_settings(tmp_path / "absent.toml", {})


# --- the environment


def test_the_environment_overrides_any_key(file: Path) -> None:
    settings = load(
        file,
        "[limits]\nrows = 5\n[clusters.fish-eu]\nnodes = ['a:1']",
        EOMD_SERVER__LISTEN="127.0.0.1:1",
        EOMD_LIMITS__ROWS="7",
        EOMD_AUTH__ENABLED="false",
        EOMD_MODIFY__BRAKE_FAILED_SHARE="0.5",
        EOMD_SERVER__TRUSTED_PROXIES='["10.0.0.0/8"]',
        EOMD_CLUSTERS__FISH_EU__TITLE="5",
        EOMD_CLUSTERS__NEW_ONE__NODES='["b:2"]',
        EOMD_DATA_DIR="/data",
        EOMD_NONSENSE="x",
        EOMD_URL="http://x",
    )
    assert settings.server.listen == "127.0.0.1:1"
    assert settings.server.trusted_proxies == ("10.0.0.0/8",)
    assert (settings.limits.rows, settings.auth.enabled, settings.modify.brake_failed_share) == (
        7,
        False,
        0.5,
    )
    assert settings.clusters["fish-eu"].title == "5"
    assert settings.clusters["new-one"].nodes == (NodeAddress("b", 2, 4),)
    assert settings.data_dir == Path("/data")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("EOMD_SERVER__LISTN", "x", "[server] listn: unknown key; did you mean listen?"),
        ("EOMD_LIMITS__ROWS", "many", '[limits] rows: expected a whole number, found "many"'),
        ("EOMD_SERVER__LISTEN__X", "1", "[server.listen] x: there is no such key"),
        ("EOMD_APPROVAL__EIDS", "1,2", '[approval] eids: expected a list, found "1,2"'),
    ],
)
def test_a_wrong_override_names_its_variable(file: Path, name: str, value: str, problem: str) -> None:
    found = problems(file, "[server]\nlisten = '127.0.0.1:1'", **{name: value})
    assert found == [f"environment {name}: {problem}"]


# --- clusters.d


def test_further_clusters_stand_one_per_file(file: Path) -> None:
    folder = file.parent / "clusters.d"
    folder.mkdir()
    (folder / "label.toml").write_text("nodes = ['a:1']")
    (folder / "notes.txt").write_text("not a cluster")
    settings = load(file, "[clusters.fish]\nnodes = ['b:2']")
    assert set(settings.clusters) == {"fish", "label"}


def test_a_cluster_in_both_places_is_an_error(file: Path) -> None:
    folder = file.parent / "clusters.d"
    folder.mkdir()
    (folder / "fish.toml").write_text("nodes = ['a:1']")
    (problem,) = problems(file, "\n[clusters.fish]\nnodes = ['b:2']")
    assert problem == (
        "clusters.d/fish.toml: [clusters] fish: stands in eomd.toml line 2 too; a cluster has one place"
    )


def test_a_problem_in_a_clusters_own_file_names_that_file(file: Path) -> None:
    folder = file.parent / "clusters.d"
    folder.mkdir()
    (folder / "fish.toml").write_text("nodes = ['a:1']\ncodek = 'x'")
    (folder / "Label.toml").write_text("nodes = ['a:1']")
    found = problems(file, "")
    assert "clusters.d/fish.toml line 2: [clusters.fish] codek: unknown key; did you mean codec?" in found
    assert any(
        one.startswith("clusters.d/Label.toml: [clusters] Label: expected a cluster's name") for one in found
    )


# --- secrets


def test_no_secret_shows_in_settings_or_problems(file: Path) -> None:
    file.touch(0o600)
    settings = load(file, "[ledger]\nurl = 'mysql+pymysql://u:geheim@h/db'", EOMD_LEDGER__PASSWORD="geheim2")
    assert "geheim" not in repr(settings) + str(settings)
    assert settings.ledger_url == "mysql+pymysql://u@h/db"
    assert settings.url_password == "geheim"
    found = problems(file, "[ledger]\nurl = 'postgres://u:geheim@h/db'\npassword = 3")
    assert "geheim" not in json.dumps(found)


@pytest.mark.parametrize("line", ["password = 'geheim'", "url = 'mysql+pymysql://u:geheim@h/db'"])
def test_a_password_stands_only_in_a_private_file(file: Path, line: str) -> None:
    file.touch(0o644)
    (problem,) = problems(file, f"[ledger]\n{line}")
    assert "eomd.toml line 2" in problem
    assert f"chmod 600 {file.name}" in problem
    file.chmod(0o600)
    load(file, f"[ledger]\n{line}")
