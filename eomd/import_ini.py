"""The old service's INI file → eomd.toml. Text in, text out; the files are the command's business.

`configparser` does not fit: the file quotes values, ends some with `;` and has comments behind others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from eomd.config_tables import parse_node
from eomd.errors import ConfigurationError
from eomd.model import NodeAddress

ROWS_PER_S = 20_000
MYSQL_PORT = 3306

#: the old index is the position
CLUSTERS = (
    ("common", "通用集群"),
    ("fish", "捕鱼集群"),
    ("qianpao", "千炮集群"),
    ("label", "标签集群"),
    ("leisure", "休闲集群"),
    ("shuttle", "结果班车集群"),
)


@dataclass(frozen=True, slots=True)
class OldCluster:
    index: int
    nodes: tuple[NodeAddress, ...]

    @property
    def name(self) -> str:
        return CLUSTERS[self.index][0] if self.index < len(CLUSTERS) else f"cluster{self.index}"

    @property
    def title(self) -> str:
        return CLUSTERS[self.index][1] if self.index < len(CLUSTERS) else ""


@dataclass(frozen=True, slots=True)
class OldConfiguration:
    """What the INI file says, as far as eomd needs it."""

    #: without a password; empty where the file names no database
    ledger_url: str
    password: str = field(repr=False)
    clusters: tuple[OldCluster, ...]
    #: present, but beyond ClusterNum: the old service did not use them
    unused: tuple[OldCluster, ...]
    #: for the person who imports
    notes: tuple[str, ...]


def decode_ini(content: bytes) -> str:
    """Return the text of a file in UTF-8, with or without BOM, or GBK. Raises ConfigurationError."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ConfigurationError("neither UTF-8 nor GBK")


def parse_ini(text: str) -> OldConfiguration:
    """Read the old configuration. Raises ConfigurationError with every line that cannot be understood."""
    notes: list[str] = []
    values = _collect(text, notes)
    found = sorted(_read_clusters(values), key=lambda cluster: cluster.index)
    count = _read_count(values, len(found), notes)
    used = tuple(cluster for cluster in found if cluster.index < count)
    unused = tuple(cluster for cluster in found if cluster.index >= count)
    if unused:
        names = ", ".join(cluster.name for cluster in unused)
        notes.append(f"ClusterNum is {count}: {names} was not in use and is written as a comment")
    if not found:
        raise ConfigurationError(
            "no cluster0, cluster1 … in [EVTConfig]: is this the old service's INI file?"
        )
    password = values.get(("mysqlconfig", "pwd"), _NOTHING).text
    return OldConfiguration(_read_database(values), password, used, unused, tuple(notes))


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    line: int


_NOTHING = _Value("", 0)
_Values = dict[tuple[str, str], _Value]


def _collect(text: str, notes: list[str]) -> _Values:
    """Return the values by section and key, both lower-cased. As in Windows, the first of two counts."""
    values: _Values = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            section = stripped[1:].partition("]")[0].strip().lower()
        elif stripped and stripped[0] not in ";#" and "=" in stripped:
            key, _, value = stripped.partition("=")
            name = (section, key.strip().lower())
            if name in values:
                notes.append(
                    f"line {number}: {key.strip()} stood in line {values[name].line} already, which counts"
                )
            else:
                values[name] = _Value(_clean(value.strip(), is_secret=name[1] == "pwd"), number)
    return values


def _clean(value: str, is_secret: bool) -> str:
    """Take quotes, trailing `;` and comments off."""
    if value[:1] in ('"', "'"):
        return value[1:].partition(value[0])[0]
    # a password may hold a `;` of its own: only one that stands apart ends it
    pattern = r"\s+;.*$|;\s*$" if is_secret else r";.*$"
    return re.sub(pattern, "", value).strip()


def _read_clusters(values: _Values) -> Iterator[OldCluster]:
    problems = []
    for (section, key), value in values.items():
        match = re.fullmatch(r"cluster(\d{1,3})", key)
        if section != "evtconfig" or not match:
            continue
        try:
            yield OldCluster(int(match.group(1)), _read_nodes(value.text))
        except ValueError as error:
            problems.append(f"line {value.line}: {key}: {error}")
    if problems:
        raise ConfigurationError(*problems)


def _read_nodes(text: str) -> tuple[NodeAddress, ...]:
    nodes: dict[str, NodeAddress] = {}
    for part in text.replace("，", ",").split(","):
        if part.strip():
            node = parse_node(re.sub(r"\s", "", part))
            nodes.setdefault(str(node), node)
    if not nodes:
        raise ValueError("expected host:port:connections, …")
    return tuple(nodes.values())


def _read_count(values: _Values, found: int, notes: list[str]) -> int:
    """Return how many clusters the old service used."""
    value = values.get(("evtconfig", "clusternum"))
    if value is None or not value.text.isdecimal():
        notes.append(f"ClusterNum is missing: all {found} clusters found are taken")
        return 1000
    if int(value.text) > found:
        notes.append(f"ClusterNum is {value.text}, but there are {found} clusters: those are taken")
    return int(value.text)


def _read_database(values: _Values) -> str:
    def text(key: str) -> str:
        return values.get(("mysqlconfig", key), _NOTHING).text

    address = text("addr")
    if not address:
        return ""
    place = address if re.search(r":\d+$", address) else f"{address}:{MYSQL_PORT}"
    user = f"{quote(text('user'), safe='')}@" if text("user") else ""
    return f"mysql+pymysql://{user}{place}/{quote(text('db'), safe='')}"


def format_toml(old: OldConfiguration, password_file: str) -> str:
    """Return eomd.toml. `password_file` is empty where the password is kept elsewhere."""
    lines = ["# made by eomd import-ini", 'data_dir = "/var/lib/eomd"', ""]
    if old.ledger_url:
        lines += ["[ledger]", f"url = {_quote(old.ledger_url)}"]
        if password_file:
            lines.append(f"password_file = {_quote(password_file)}")
        lines += [
            '# of create_time and last_modify_time; "Asia/Shanghai" if the old rows hold Chinese time',
            'time_zone = "UTC"',
            "",
        ]
    for cluster in old.clusters:
        lines += [*_format_cluster(cluster), ""]
    for cluster in old.unused:
        lines += [*(f"# {line}" for line in _format_cluster(cluster)), ""]
    return "\n".join(lines[:-1]) + "\n"


def _format_cluster(cluster: OldCluster) -> list[str]:
    nodes = ", ".join(_quote(f"{node}:{node.connections}") for node in cluster.nodes)
    title = [f"title = {_quote(cluster.title)}"] if cluster.title else []
    return [f"[clusters.{cluster.name}]", *title, f"nodes = [{nodes}]", f"rows_per_s = {ROWS_PER_S}"]


def _quote(text: str) -> str:
    """Return a TOML string; JSON's are such, save for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
