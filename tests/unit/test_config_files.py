"""What a configuration needs on the disk."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from pydantic import BaseModel, SecretStr

from eomd.config import Settings
from eomd.config_files import find_file_problems, read_ledger_password, read_secrets
from eomd.config_tables import Tables
from eomd.errors import ConfigurationError
from eomd.logs import JsonFormatter, TextFormatter


def make(tmp_path: Path, **ledger: str) -> Settings:
    return Settings.model_validate({"data_dir": tmp_path / "data", "ledger": ledger})


def secret(path: Path, text: str = "geheim\n", mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_password_comes_from_its_file_without_the_line_end(tmp_path: Path) -> None:
    settings = make(tmp_path, password_file=str(secret(tmp_path / "pw")))
    assert read_ledger_password(settings, {}) == "geheim"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_password_file_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = secret(tmp_path / "pw", mode=mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}"):
        read_ledger_password(make(tmp_path, password_file=str(path)), {})


def test_an_absent_password_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="absent: No such file"):
        read_ledger_password(make(tmp_path, password_file=str(tmp_path / "absent")), {})


def test_the_environment_passes_the_file_and_the_file_systemd(tmp_path: Path) -> None:
    secret(tmp_path / "ledger-password", "of systemd")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert read_ledger_password(make(tmp_path), {}) is None
    assert read_ledger_password(make(tmp_path), environ) == "of systemd"
    named = str(secret(tmp_path / "pw"))
    assert read_ledger_password(make(tmp_path, password_file=named), environ) == "geheim"
    assert read_ledger_password(make(tmp_path, password_file=named, password="first"), environ) == "first"


@pytest.mark.parametrize("password", ["root", "Admin", "12345678", "reader"])
def test_a_default_password_stops_who_can_be_reached_from_elsewhere(tmp_path: Path, password: str) -> None:
    url = "mysql+pymysql://reader@db/CVS"
    path = str(secret(tmp_path / "pw", password))
    for ledger in (
        {"password": password},
        {"password_file": path},
        {"url": f"mysql+pymysql://reader:{password}@db/C"},
    ):
        tables = {"data_dir": tmp_path, "ledger": {"url": url, **ledger}}
        here = Settings.model_validate(tables)
        assert read_ledger_password(here, {}) == password
        there = Settings.model_validate({**tables, "server": {"listen": "0.0.0.0:8600"}})
        with pytest.raises(ConfigurationError, match="default password") as refusal:
            read_ledger_password(there, {})
        assert password not in str(refusal.value)
        assert find_file_problems(there, {}) == [str(refusal.value)]
    named = Settings.model_validate({**tables, "ledger": {"url": url, "password": "kite rain"}})
    assert read_ledger_password(named, {}) == "kite rain"


SECRET = 'k\u00efte "r\\ain" 7@/:lantern'


def secret_keys() -> Iterator[tuple[str, str]]:
    """Yield table and key of every secret that the configuration can hold."""
    for name, table in Tables.model_fields.items():
        if isinstance(table.annotation, type) and issubclass(table.annotation, BaseModel):
            for key, field in table.annotation.model_fields.items():
                if field.annotation is SecretStr:
                    yield name, key


def plant_secrets(tmp_path: Path) -> tuple[Settings, list[str]]:
    """Return a configuration with a secret wherever one can stand, and these secrets."""
    tables: dict[str, Any] = {"data_dir": tmp_path, "ledger": {}}
    planted = [f"{SECRET} in the url"]
    for name, key in secret_keys():
        planted.append(f"{SECRET} {name}.{key}")
        tables.setdefault(name, {})[key] = planted[-1]
    tables["ledger"]["url"] = f"mysql+pymysql://eomd:{quote(planted[0], safe='')}@db/CVS"
    return Settings.model_validate(tables), planted


def spellings(value: str) -> list[str]:
    return [
        value,
        repr(value),
        json.dumps({"x": value}),
        json.dumps([value], ensure_ascii=False),
        f"http://h/?p={quote_plus(value)}",
        f"mysql://u:{quote(value, safe='')}@h",
        f"x{value}y",
    ]


def test_no_secret_of_the_configuration_comes_into_a_log_whoever_logs_it(tmp_path: Path) -> None:
    settings, planted = plant_secrets(tmp_path)
    planted.append(f"{SECRET} in a file")
    file = make(tmp_path, password_file=str(secret(tmp_path / "pw", planted[-1])))
    secrets = tuple(read_secrets(settings, {}) + read_secrets(file, {}))
    assert len(planted) == 3
    assert set(secrets) == set(planted)
    for text in (spelling for value in planted for spelling in spellings(value)):
        record = logging.LogRecord("eomd", logging.INFO, __file__, 1, "%s", (text,), None)
        record.operator = text
        for formatter in (TextFormatter(secrets), JsonFormatter(secrets)):
            assert "lantern" not in formatter.format(record)


def test_a_data_folder_that_cannot_be_is_a_problem(tmp_path: Path) -> None:
    assert find_file_problems(make(tmp_path), {}) == []
    (tmp_path / "data").touch()
    assert find_file_problems(make(tmp_path), {}) == [f"data_dir: {tmp_path}/data is not a folder"]


def test_tls_files_must_be_readable(tmp_path: Path) -> None:
    server = {"tls_cert": str(tmp_path / "cert"), "tls_key": str(tmp_path / "key")}
    settings = Settings.model_validate({"data_dir": tmp_path, "server": server})
    assert find_file_problems(settings, {}) == [
        f"[server] tls_cert: cannot read {tmp_path}/cert",
        f"[server] tls_key: cannot read {tmp_path}/key",
    ]
