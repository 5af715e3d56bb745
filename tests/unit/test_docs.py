"""The pages tell the truth: names in the code stand in them, names and links in them lead somewhere."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

import eomd
from eomd.cli.main import COMMANDS, HIDDEN, cli
from eomd.config import SYSTEM_DATA_DIR
from eomd.config_live import TAKES, Takes
from eomd.config_tables import ClusterTable, RecipeTable, Tables
from eomd.handlers import console_views, people_requests, requests, views
from eomd.handlers.answer import STATUSES
from eomd.handlers.metrics import Metrics
from eomd.handlers.routes import make_routes
from eomd.model import Mode, Model, PausedBy, Role, RowStatus, State
from eomd.rooms import RECEIVING_THREADS
from eomd.storage.engine import MYSQL_CONNECTIONS
from tests.pages import (
    DOCS,
    ROOT,
    all_pages,
    anchors,
    code,
    fences,
    links,
    prose,
    read,
    sections,
    spans,
    table,
    tables,
    words,
)

SOURCES = sorted((ROOT / "eomd").rglob("*.py"))


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- all pages


@pytest.mark.parametrize("page", all_pages(), ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), target
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{target}#{anchor}"


def test_every_page_is_reached_from_the_index() -> None:
    reached: set[Path] = set()
    waiting = [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [target for target, _ in links(page)]
    assert set(all_pages()) <= reached
    listed = {target for target, _ in links(DOCS / "README.md")}
    assert set(DOCS.glob("*.md")) - listed == {DOCS / "README.md"}
    assert DOCS / "README.md" in {target for target, _ in links(ROOT / "README.md")}


@pytest.mark.parametrize("page", all_pages(), ids=ids)
def test_nothing_is_left_to_be_filled_in(page: Path) -> None:
    assert not re.search(r"@[A-Z]+@", page.read_text(encoding="utf-8"))


def test_both_readmes_say_the_same() -> None:
    english, chinese = read("README.md"), read("README.zh-CN.md")
    pages = {(ROOT / "README.md", ""), (ROOT / "README.zh-CN.md", "")}
    assert set(links(ROOT / "README.md")) - pages == set(links(ROOT / "README.zh-CN.md")) - pages
    assert set(spans(prose(english))) == set(spans(prose(chinese)))
    assert list(map(bare, fences(english))) == list(map(bare, fences(chinese)))


def bare(fence: str) -> str:
    """Return a block's code; of a picture, and of a comment, only that it is there."""
    return "picture" if "──►" in fence else re.sub(r"\s+# .*", "", fence)


def test_the_changelog_names_the_version() -> None:
    page = read("CHANGELOG.md")
    assert "## [Unreleased]" in page
    assert eomd.__version__ in page


# --- configuration.md

OF_MODELS: dict[str, type[BaseModel]] = {
    "top": Tables,
    "[clusters.NAME]": ClusterTable,
    "[inbox.recipes.NAME]": RecipeTable,
} | {
    f"[{name}]": field.annotation
    for name, field in Tables.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


def documented_settings(name: str) -> dict[str, list[str]]:
    return {row[0].strip("`"): row[1:] for row in table(read("docs/configuration.md"), name, "default")}


@pytest.mark.parametrize("name", OF_MODELS)
def test_every_setting_stands_in_its_table_with_its_default(name: str) -> None:
    defaults = {key: plain(field.default) for key, field in OF_MODELS[name].model_fields.items()}
    if name == "top":
        defaults = {"data_dir": str(SYSTEM_DATA_DIR)}
    assert {key: parse_default(cells[0]) for key, cells in documented_settings(name).items()} == defaults


def plain(default: Any) -> Any:
    """Return a default as TOML would give it."""
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return list(default) if isinstance(default, tuple) else default


def parse_default(cell: str) -> Any:
    if cell in ("required", "none"):
        return PydanticUndefined if cell == "required" else None
    return tomllib.loads(f"x = {cell.strip('`')}")["x"]


def test_no_other_table_is_documented() -> None:
    found = {head[0] for head, _ in tables(read("docs/configuration.md"))}
    assert found == {*OF_MODELS, "changed"}


def test_it_is_told_which_keys_wait_for_a_restart() -> None:
    up, server, rest = table(read("docs/configuration.md"), "changed", "in force")
    assert "`eomd up`" in up[1]
    assert "of the server" in server[1]
    waiting = dict.fromkeys(spans(up[0]), Takes.UP) | dict.fromkeys(spans(server[0]), Takes.SERVER)
    assert waiting == {key: needed for key, needed in TAKES.items() if needed is not Takes.RELOAD}
    assert rest[1] == "at once"


# --- commands.md


def commands(command: click.Command = cli, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command that does something, with its words."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from commands(found, *path, name)


def options(command: click.Command) -> set[str]:
    return {option for parameter in command.params if isinstance(parameter, click.Option)
            for option in parameter.opts}  # fmt: skip


def told(text: str) -> set[str]:
    """Return the options in a text's code."""
    return {option for piece in code(text) for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", piece)}


COMMON = {"-c", "--config", "--url", "--token", "--json"}


def test_every_command_and_option_is_documented_and_no_other() -> None:
    parts = sections(read("docs/commands.md"))
    named = {name for head in parts for name in head.split(", ")} - {"Options of many commands"}
    assert named == set(COMMANDS)
    parts["evtsim"] += read("docs/simulator.md")
    for head, text in parts.items():
        of_these = {path: command for path, command in commands() if path[0] in head.split(", ")}
        assert [path for path in of_these if f"`eomd {' '.join(path)}" not in text] == []
        known = set().union(*map(options, of_these.values()))
        assert known - COMMON <= told(text), head
        assert told(text) <= known | COMMON or not of_these, head


def test_common_options_are_those_of_the_commands_named() -> None:
    assert COMMON | {"-h", "--help"} == told(sections(read("docs/commands.md"))["Options of many commands"])
    asking = {path[0] for path, command in commands() if "--url" in options(command)}
    (row,) = [r for r in table(read("docs/commands.md"), "option", "commands") if "--url" in r[0]]
    assert set(spans(row[1])) == asking
    assert {path[0] for path, command in commands() if "-c" not in options(command)} == {"evtsim"}


@pytest.mark.parametrize(
    "page", [page for page in all_pages() if page.name not in ("status.md", "CHANGELOG.md")], ids=ids
)
def test_commands_in_the_pages_exist(page: Path) -> None:
    known = dict(commands())
    groups = {path[0] for path in known if len(path) > 1}
    for piece in code(page.read_text(encoding="utf-8")):
        for first, second in re.findall(r"(?:^\s*|\$\(|/)eomd ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", piece):
            if first not in HIDDEN:
                assert first in COMMANDS, piece
                assert first not in groups or not second or (first, second) in known, piece


def test_exit_codes_are_documented() -> None:
    found = {"0", "1", "2", "70"}
    for source in SOURCES:
        found |= set(re.findall(r"^EXIT_\w+ = (\d+)$", source.read_text(encoding="utf-8"), re.MULTILINE))
    documented = {row[0] for row in table(read("docs/errors.md"), "code", "of")}
    # two of them are spelled os.EX_…
    assert documented == found | {"75", "78"}


# --- errors.md


def test_every_error_over_http_is_documented_as_it_is_answered() -> None:
    rows = table(read("docs/errors.md"), "HTTP", "code", "error")
    assert {row[2]: (int(row[0]), int(row[1])) for row in rows} == STATUSES


def test_every_other_error_is_documented() -> None:
    codes: set[str] = set()
    for source in SOURCES:
        codes |= set(re.findall(r'^    code = "(\w+)"$', source.read_text(encoding="utf-8"), re.MULTILINE))
    assert {row[0] for row in table(read("docs/errors.md"), "error")} == codes - set(STATUSES)


# --- http-api.md

API = read("docs/http-api.md")


def test_every_path_is_documented_with_its_methods_and_role() -> None:
    served = {
        (method, route.path.replace("{id}", "ID").replace("{name}", "NAME"), facts.role)
        for route in make_routes()
        for method, facts in route.methods.items()
        if not (route.internal or route.console)
    }
    documented = {
        (method, path.strip("`"), None if role == "anybody" else Role.parse(role))
        for methods, path, role, _ in table(API, "method", "path", "role")
        for method in methods.split(", ")
    }
    assert documented == served


def test_every_field_of_a_hand_in_is_documented() -> None:
    rows = {spans(name)[0]: (name, kind) for name, kind, _ in _fields_of_hand_ins()}
    assert set(rows) == set(requests.ModifyConfig.model_fields)
    for name, field in requests.ModifyConfig.model_fields.items():
        kind = "both" if name in requests.QueryConfig.model_fields else "modify"
        assert rows[name][1] == kind + ("" if field.is_required() else ", optional")


def _fields_of_hand_ins() -> list[list[str]]:
    return table(API, "field", "for", "meaning")


@pytest.mark.parametrize(
    "model",
    [requests.OperationsRequest, requests.RowsRequest, requests.DownloadRequest, requests.ClusterChange,
     requests.Definitions, requests.EidEntry, requests.QueryHandIn,
     people_requests.TokenRequest, people_requests.UserRequest, people_requests.UserChange,
     people_requests.LogInRequest, people_requests.PasswordRequest, requests.ActivityRequest,
     requests.AuditRequest, requests.DiaryRequest],
)  # fmt: skip
def test_every_field_of_a_request_is_documented(model: type[BaseModel]) -> None:
    assert {field.alias or name for name, field in model.model_fields.items()} <= words(API)


@pytest.mark.parametrize(
    "view",
    [views.CountsView, views.OperationsView, views.RowsView, views.UploadView, views.ClusterEntry,
     views.NodeEntry, views.DefinitionsView, views.NewTokenView, views.HealthView,
     views.UserView, views.SessionView, console_views.ActivityView, console_views.ClusterSeries,
     console_views.ApprovalRulesView, console_views.RecipesView, console_views.AuditEntryView,
     console_views.AuditView, console_views.DiaryEntryView, console_views.EventView],
)  # fmt: skip
def test_every_field_of_an_answer_is_documented(view: Any) -> None:
    assert set(view.__annotations__) <= words(API)


def test_every_field_of_an_operation_is_documented() -> None:
    rows = [
        row for head, row_list in tables(API) if head[0] == "field" and len(head) == 2 for row in row_list
    ]
    assert {name for row in rows for name in spans(row[0])} == set(views.OperationView.__annotations__)


def test_every_state_is_documented_with_its_numbers() -> None:
    documented = {row[0]: tuple(map(number, row[1:4])) for row in table(API, "state", "status")}
    numbers = {state.value: tuple(state.numbers) for state in State if state is not State.FOREIGN}
    assert documented == {**numbers, "foreign": (None, None, None)}
    paused_by = {name for row in table(API, "paused_by") for name in row[0].split(", ")}
    assert paused_by == {by.value for by in PausedBy}


def number(cell: str) -> int | None:
    return int(cell) if cell else None


# --- the others


def test_every_row_status_is_documented() -> None:
    names = {status.result_name for status in RowStatus if status is not RowStatus.PENDING}
    assert {row[0].strip("`") for row in table(read("docs/files.md"), "status", "counts as")} == names


def test_every_metric_is_documented_with_its_labels() -> None:
    rows = table(read("docs/operations.md"), "metric", "labels")
    families = {family.name: family.type for family in Metrics().registry.collect()}
    own = {name + "_total" * (kind == "counter") for name, kind in families.items() if name[:5] == "eomd_"}
    assert {row[0].strip("`") for row in rows} == own


def test_the_servers_thread_pools_are_documented_as_they_are_made() -> None:
    made = {}
    sources = [source for source in SOURCES if source.parent.name != "watchdog"]
    for source in sources:
        text = source.read_text(encoding="utf-8")
        for threads, name in re.findall(r'ThreadPoolExecutor\((.+), thread_name_prefix="(\w+)"\)', text):
            made[name] = (threads, ids(source))
    numbers = {
        "RECEIVING_THREADS": str(RECEIVING_THREADS),
        "connections_of(settings)": f"1 (SQLite), {MYSQL_CONNECTIONS} (MySQL)",
    }
    documented = {row[0].strip("`"): (row[1], row[3].strip("`")) for row in _pools()}
    assert documented == {name: (numbers.get(n, n), where) for name, (n, where) in made.items()}
    assert sum(source.read_text().count("ThreadPoolExecutor(") for source in sources) == len(made)


def _pools() -> list[list[str]]:
    return table(read("docs/architecture.md"), "pool", "threads")


def test_every_room_is_documented() -> None:
    page = read("docs/architecture.md")
    package = ROOT / "eomd"
    rooms = {f"eomd/{path.name}" for path in package.glob("*.py") if not path.name.startswith("__")}
    rooms |= {f"eomd/{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert {name for row in table(page, "room") for name in spans(row[0])} == rooms
    _, _, inside = sections(page)["Rooms"].partition("Inside `operations/`")
    named = set(spans(inside)) - {"desk"}
    assert {name for name in named if not (package / "operations" / f"{name}.py").exists()} == set()
    assert len(named) > 10


def test_the_glossary_has_the_words_of_the_model() -> None:
    glossary = read("docs/glossary.md")
    for word in [*Model, *Mode, *(role.format() for role in Role), *(state.value for state in State)]:
        assert re.search(rf"\b{word}\b", glossary), word


def test_every_dependency_stands_in_a_decision() -> None:
    declared = configparser.ConfigParser()
    declared.read(ROOT / "setup.cfg", encoding="utf-8")
    lists = [declared["options"]["install_requires"], *declared["options.extras_require"].values()]
    names = {re.match(r"[\w-]+", line)[0] for text in lists for line in text.split("\n") if line}  # type: ignore[index]
    reasons = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "decisions").glob("0*.md")).lower()
    assert [name for name in sorted(names) if not re.search(rf"\b{name.lower()}\b", reasons)] == []


def test_decisions_are_numbered_without_a_gap_and_listed_by_their_titles() -> None:
    pages = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    listed = []
    for place, page in enumerate(pages, start=1):
        head = page.read_text(encoding="utf-8").splitlines()[0]
        assert page.name.startswith(f"{place:04}-")
        assert head.startswith(f"# {place}. ")
        listed.append([str(place), f"[{head.partition('. ')[2]}]({page.name})"])
    assert table(prose(read("docs/decisions/README.md")), "", "") == listed
