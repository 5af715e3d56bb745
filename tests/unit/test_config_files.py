"""What a configuration needs on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from eomd.config import Settings
from eomd.config_files import find_file_problems, read_ledger_password
from eomd.errors import ConfigurationError


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
