"""The old service's INI file becomes eomd.toml, in each of its encodings and with each of its quirks."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from eomd.config import Settings
from eomd.errors import ConfigurationError
from eomd.import_ini import OldConfiguration, decode_ini, format_toml, parse_ini

LEGACY = Path(__file__).parents[1] / "data/legacy"
EVT = "[EVTConfig]\nClusterNum = 1\ncluster0 = 192.0.2.1:30707:20\n"


def parse(text: str) -> OldConfiguration:
    return parse_ini(text)


def settings_of(old: OldConfiguration) -> Settings:
    return Settings.model_validate(tomllib.loads(format_toml(old, "pw")))


@pytest.mark.parametrize("name", ["TKEvtOperationService.ini", "TKEvtOperationService.gbk.ini"])
def test_the_old_files_become_the_six_clusters(name: str) -> None:
    old = parse(decode_ini((LEGACY / name).read_bytes()))
    settings = settings_of(old)
    assert {cluster: table.title for cluster, table in settings.clusters.items()} == {
        "common": "通用集群", "fish": "捕鱼集群", "qianpao": "千炮集群",
        "label": "标签集群", "leisure": "休闲集群", "shuttle": "结果班车集群",
    }  # fmt: skip
    assert [str(n) for n in settings.clusters["leisure"].nodes] == [
        f"198.51.100.{i}:30707" for i in (151, 152, 153)
    ]
    assert [n.connections for n in settings.clusters["qianpao"].nodes] == [20, 4, 4]
    assert all(cluster.rows_per_s == 20000 for cluster in settings.clusters.values())
    assert settings.ledger.url == "mysql+pymysql://srv_eom_example@cvs-mysql.example.internal:4306/CVS"
    assert settings.ledger.table == "define_optgroup"
    assert (old.password, old.notes, old.unused) == ("not-a-real-password", (), ())


def test_the_password_is_nowhere_but_in_its_field() -> None:
    old = parse(f'[MySQLConfig]\naddr = "h:1"\npwd = "geheim"\n{EVT}')
    assert "geheim" not in format_toml(old, "pw") + repr(old)


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ('pwd = "a;b # c"', "a;b # c"),
        ("pwd = 'x' ; comment", "x"),
        ("pwd = a;b ; comment", "a;b"),
        ("PWD=x;", "x"),
        ("pwd = 密码", "密码"),
        ("pwd =", ""),
    ],
)
def test_quotes_semicolons_and_comments_come_off(line: str, password: str) -> None:
    assert parse(f"[mysqlconfig]\n{line}\n{EVT}").password == password


@pytest.mark.parametrize(
    ("lines", "url"),
    [
        ("addr = h\nuser = u\ndb = CVS", "mysql+pymysql://u@h:3306/CVS"),
        ("addr = h:1 ; old\nuser = a@b\ndb = CVS;", "mysql+pymysql://a%40b@h:1/CVS"),
    ],
)
def test_the_database_becomes_an_address(lines: str, url: str) -> None:
    assert settings_of(parse(f"[MySQLConfig]\n{lines}\n{EVT}")).ledger.url == url


def test_without_a_database_the_default_stays() -> None:
    assert settings_of(parse(EVT)).ledger.url == "sqlite:///eomd.db"


def test_clusters_beyond_the_number_are_kept_as_comments() -> None:
    old = parse(f"{EVT}cluster1 = a:1\n")
    assert set(settings_of(old).clusters) == {"common"}
    assert "# [clusters.fish]" in format_toml(old, "")
    assert old.notes == ("ClusterNum is 1: fish was not in use and is written as a comment",)


def test_a_number_larger_than_what_is_there_is_noted() -> None:
    old = parse("[EVTConfig]\nClusterNum = 6;\ncluster1 = a:1, ，b:2\n")
    assert list(settings_of(old).clusters) == ["fish"]
    assert len(settings_of(old).clusters["fish"].nodes) == 2
    assert old.notes == ("ClusterNum is 6, but there are 1 clusters: those are taken",)


def test_a_cluster_that_nobody_has_named_gets_its_number() -> None:
    assert list(settings_of(parse("[EVTConfig]\nClusterNum=9\ncluster8=a:1")).clusters) == ["cluster8"]


def test_of_two_lines_the_first_counts() -> None:
    old = parse(f"{EVT}Cluster0 = b:2\n")
    assert str(old.clusters[0].nodes[0]) == "192.0.2.1:30707"
    assert old.notes == ("line 4: Cluster0 stood in line 3 already, which counts",)


def test_every_unreadable_line_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("[EVTConfig]\nClusterNum = 2\ncluster0 = a\ncluster1 = ;\n")
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == ["line 3", "line 4"]


@pytest.mark.parametrize("text", ["", "[x]\ny=1", "PK\3\4"])
def test_what_is_no_such_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is this the old service's INI file"):
        parse(text)


def test_bytes_in_no_known_encoding_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="neither"):
        decode_ini(b"\xff\xff\xff")
