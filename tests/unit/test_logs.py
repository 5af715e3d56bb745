"""What a log line looks like, and what never stands in one."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from eomd.logs import JsonFormatter, TextFormatter, set_up_logging


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("eomd.test", logging.WARNING, __file__, 1, message, arguments, None)
    made.created = 1_700_000_000.123
    made.__dict__.update(fields)
    return made


def test_text_is_one_line_with_its_fields() -> None:
    line = TextFormatter(()).format(record("rows\nof %s", "ann", operation=12, cluster="fish", operator=7))
    assert line == (
        "2023-11-14T22:13:20.123Z WARNING eomd.test: rows\\nof ann operation=12 cluster=fish operator=7"
    )


def test_json_is_an_object_with_the_same_facts() -> None:
    line = JsonFormatter(()).format(record("鱼 %d", 1, operation=12))
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.123Z",
        "level": "warning",
        "logger": "eomd.test",
        "message": "鱼 1",
        "operation": 12,
    }


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer eomd_geheim",
        "{'authorization': 'Bearer eomd_geheim'}",
        "password=geheim",
        '"password": "geheim"',
        "mysql+pymysql://u:geheim@h/db",
        "the known one: sesam",
        "Cookie: eomd_session=geheim; other=geheim",
        "{'Cookie': 'eomd_session=geheim'}",
        "Set-Cookie: eomd_session=geheim; HttpOnly",
        "X-XSRF-Token: geheim",
        "http://eomd/console/enter#geheim",
        "found eomd_geheim" + "x" * 37,
        "$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$geheim",
        "-----BEGIN PRIVATE KEY-----\ngeheim\n-----END PRIVATE KEY-----",
    ],
)
@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter])
def test_secrets_are_blotted_out(text: str, formatter: type[TextFormatter | JsonFormatter]) -> None:
    line = formatter(("sesam",)).format(record("%s", text))
    assert "geheim" not in line
    assert "sesam" not in line
    assert "[secret]" in line


def test_a_traceback_is_blotted_too_and_stays_with_its_record() -> None:
    try:
        raise ValueError("password=geheim")
    except ValueError:
        made = record("failed")
        made.exc_info = sys.exc_info()
    text = TextFormatter(()).format(made)
    assert "geheim" not in text
    assert all(line.startswith("    ") for line in text.splitlines()[1:])
    assert "ValueError" in json.loads(JsonFormatter(()).format(made))["traceback"]


@pytest.fixture
def as_before() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize("level", ["debug", "info"])
def test_a_library_that_talks_of_itself_is_not_heard(level: str) -> None:
    set_up_logging(level, "text")
    assert not logging.getLogger("alembic.runtime.migration").isEnabledFor(logging.INFO)
    assert logging.getLogger("alembic.runtime.migration").isEnabledFor(logging.WARNING)
    assert not logging.getLogger("sqlalchemy.pool.impl.QueuePool").isEnabledFor(logging.ERROR)
    assert logging.getLogger("eomd.app").isEnabledFor(logging.INFO)
