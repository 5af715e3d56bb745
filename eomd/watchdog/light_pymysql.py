"""PyMySQL without the seven megabytes of `cryptography` that it loads in advance.

They are needed by a MySQL alone that wants its password under RSA: on a connection without TLS, when it has
not seen the user of late. Then they are loaded.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_HEAVY = "cryptography"


def connect(**arguments: Any) -> Any:
    """Return a connection as `pymysql.connect` does, and raise as it does. Blocks."""
    pymysql = load()
    try:
        return pymysql.connect(**arguments)
    except RuntimeError:
        # it says so, where RSA is wanted, by this alone
        allow_rsa()
        return pymysql.connect(**arguments)


def load() -> Any:
    """Return PyMySQL, imported so that it finds no `cryptography` unless that is there already."""
    if "pymysql" in sys.modules or _HEAVY in sys.modules:
        return importlib.import_module("pymysql")
    # importing what stands there as None raises ImportError, for which PyMySQL is prepared
    sys.modules[_HEAVY] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("pymysql")
    finally:
        del sys.modules[_HEAVY]


def allow_rsa() -> None:
    """Load what RSA needs after all."""
    importlib.reload(importlib.import_module("pymysql._auth"))
