"""The console's built files, read once at the start. Looked up by name afterwards; no path is ever joined."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

#: made by scripts/build-console
BUILT = Path(__file__).parents[1] / "console"
PAGE = "index.html"
ASSETS = "assets"
HOW_TO_BUILD = "not built: run scripts/build-console, then restart the server"

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class BuiltFile:
    """One file, as it is and as gzip has packed it."""

    content: bytes
    #: None where it was not packed
    packed: bytes | None
    content_type: str
    #: of `content`; that of `packed` is another one
    hash: str

    @classmethod
    def read(cls, path: Path) -> BuiltFile:
        content, packed = path.read_bytes(), path.with_name(path.name + ".gz")
        return cls(
            content,
            packed.read_bytes() if packed.exists() else None,
            _TYPES.get(path.suffix, "application/octet-stream"),
            hashlib.sha256(content).hexdigest()[:32],
        )


@dataclass(frozen=True, slots=True)
class Console:
    """What was built; nothing where nobody has."""

    page: BuiltFile | None = None
    #: by their names
    assets: dict[str, BuiltFile] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path = BUILT) -> Console:
        if not (folder / PAGE).exists():
            return cls()
        paths = sorted(path for path in (folder / ASSETS).iterdir() if path.suffix != ".gz")
        return cls(BuiltFile.read(folder / PAGE), {path.name: BuiltFile.read(path) for path in paths})
