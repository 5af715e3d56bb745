"""A source file's bytes: what they are, which encoding they are in, and reading them as UTF-8.

The decision is made over the whole file, streamed: byte order mark, strict UTF-8, strict GB18030. Must not
know about separators, columns or values.
"""

from __future__ import annotations

import codecs
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from eomd.errors import FileProblem, InvalidFileError

CHUNK_BYTES = 1 << 20

UTF_8 = "utf-8"
UTF_8_WITH_BOM = "utf-8-sig"
UTF_16 = "utf-16"
GB18030 = "gb18030"

_HEAD_BYTES = 8192
_ZIP = b"PK\x03\x04"
_KINDS = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a rar archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"%PDF-", "a PDF document"),
)
_HTML_STARTS = ("<!doctype html", "<html", "<head", "<body", "<table", "<meta", "<script", "<!--")
_XML_HTML_MARKS = ("<html", "<!doctype html")


@dataclass(frozen=True, slots=True)
class SourceText:
    """A file whose encoding is decided."""

    path: Path
    #: a codec's name: utf-8, utf-8-sig, utf-16, gb18030
    encoding: str
    #: of the file
    bytes: int
    #: hex, of the file's bytes
    sha256: str
    has_nul: bool
    has_quote: bool

    def open_utf8(self) -> BinaryIO:
        """Open the text as UTF-8 without a byte order mark, decoded while it is read."""
        if self.encoding in (UTF_8, UTF_8_WITH_BOM):
            stream = self.path.open("rb")
            stream.seek(len(codecs.BOM_UTF8) if self.encoding == UTF_8_WITH_BOM else 0)
            return stream
        return io.BufferedReader(_Utf8Stream(self.path, self.encoding), CHUNK_BYTES)

    def open_arrow(self) -> Any:
        """Open the text as UTF-8 for pyarrow, which skips a byte order mark by itself."""
        if self.encoding in (UTF_8, UTF_8_WITH_BOM):
            return pa.OSFile(str(self.path), "rb")
        return pa.PythonFile(self.open_utf8(), mode="r")


def scan_source(path: Path) -> SourceText:
    """Read the whole file once (GB18030 and UTF-16: twice) and decide its encoding.

    Raises InvalidFileError where it is not a text in an accepted encoding.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    _refuse_other_kinds(head)
    raw = _scan_bytes(path)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _scan_utf16(path, raw)
    encoding = UTF_8_WITH_BOM if head.startswith(codecs.BOM_UTF8) else UTF_8
    if raw.utf8_fault is not None:
        if encoding == UTF_8_WITH_BOM:
            raise _undecodable(path, encoding, raw.utf8_fault, "is not UTF-8, as the byte order mark says")
        encoding = _require_gb18030(path, raw.utf8_fault)
    return SourceText(path, encoding, raw.size, raw.sha256, raw.has_nul, raw.has_quote)


@dataclass(slots=True)
class _RawScan:
    size: int = 0
    sha256: str = ""
    has_nul: bool = False
    has_quote: bool = False
    #: offset of the first byte that is not UTF-8
    utf8_fault: int | None = None


def _scan_bytes(path: Path) -> _RawScan:
    """Look for NUL and quotes as bytes: in UTF-8 and GB18030 neither is ever part of another character."""
    scan, digest = _RawScan(), hashlib.sha256()
    decoder = _StrictDecoder(UTF_8)
    for chunk in _chunks(path):
        digest.update(chunk)
        scan.size += len(chunk)
        scan.has_nul = scan.has_nul or b"\0" in chunk
        scan.has_quote = scan.has_quote or b'"' in chunk
        if scan.utf8_fault is None:
            scan.utf8_fault = decoder.check(chunk)
    if scan.utf8_fault is None:
        scan.utf8_fault = decoder.check(b"", final=True)
    scan.sha256 = digest.hexdigest()
    return scan


def _require_gb18030(path: Path, utf8_fault: int) -> str:
    fault = _first_fault(path, GB18030)
    if fault is None:
        return GB18030
    # the encoding that held longer is the one the file was meant to be in
    encoding, offset = (GB18030, fault) if fault > utf8_fault else (UTF_8, utf8_fault)
    raise _undecodable(path, encoding, offset, "is neither valid UTF-8 nor valid GB18030")


def _scan_utf16(path: Path, raw: _RawScan) -> SourceText:
    if (fault := _first_fault(path, UTF_16)) is not None:
        raise _undecodable(path, UTF_16, fault, "is not UTF-16, as the byte order mark says")
    has_nul = has_quote = False
    for text in _texts(path, UTF_16):
        has_nul = has_nul or "\0" in text
        has_quote = has_quote or '"' in text
    return SourceText(path, UTF_16, raw.size, raw.sha256, has_nul, has_quote)


def _first_fault(path: Path, encoding: str) -> int | None:
    decoder = _StrictDecoder(encoding)
    for chunk in _chunks(path):
        if (fault := decoder.check(chunk)) is not None:
            return fault
    return decoder.check(b"", final=True)


class _StrictDecoder:
    """Tells the offset of the first byte that an encoding does not allow."""

    def __init__(self, encoding: str) -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._ascii_is_itself = encoding != UTF_16
        self._offset = 0

    def check(self, chunk: bytes, final: bool = False) -> int | None:
        pending = len(self._decoder.getstate()[0])
        start = self._offset - pending
        self._offset += len(chunk)
        if self._ascii_is_itself and not pending and chunk.isascii():
            return None
        try:
            self._decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            return max(start + error.start, 0)
        return None


class _Utf8Stream(io.RawIOBase):
    """A text file in any encoding as a stream of UTF-8 bytes."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._texts = _texts(path, encoding)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            text = next(self._texts, None)
            if text is None:
                return 0
            self._left = memoryview(text.encode(UTF_8))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def close(self) -> None:
        self._texts.close()
        super().close()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def _texts(path: Path, encoding: str, errors: str = "strict") -> Any:
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    for chunk in _chunks(path):
        if text := decoder.decode(chunk):
            yield text
    if text := decoder.decode(b"", True):
        yield text


def _undecodable(path: Path, encoding: str, offset: int, what: str) -> InvalidFileError:
    with path.open("rb") as stream:
        stream.seek(offset)
        byte = stream.read(1)
    shown = f" (0x{byte.hex().upper()})" if byte else ""
    reason = f"the byte at offset {offset}{shown} {what}: save the file as UTF-8"
    return InvalidFileError([FileProblem(_line_at(path, encoding, offset), None, None, reason)], 1)


def _line_at(path: Path, encoding: str, offset: int) -> int:
    """Return the physical line, from 1, that holds the byte."""
    decoder = codecs.getincrementaldecoder(encoding)("ignore")
    lines, last = 1, ""
    for chunk in _chunks(path):
        text = decoder.decode(chunk[:offset])
        offset -= min(len(chunk), offset)
        lines += text.count("\n") + text.count("\r") - (last + text).count("\r\n")
        last = text[-1:] or last
        if not offset:
            break
    return lines


def _refuse_other_kinds(head: bytes) -> None:
    kind = _kind_of_bytes(head) or _kind_of_markup(head)
    if kind:
        reason = f"the file is {kind}, not a CSV: save it as CSV and hand that in"
        raise InvalidFileError([FileProblem(1, None, None, reason)], 1)


def _kind_of_bytes(head: bytes) -> str | None:
    if head.startswith(_ZIP):
        workbook = b"[Content_Types].xml" in head or b"xl/" in head
        return "an Excel workbook (.xlsx)" if workbook else "a zip archive, perhaps an Excel workbook (.xlsx)"
    return next((kind for start, kind in _KINDS if head.startswith(start)), None)


def _kind_of_markup(head: bytes) -> str | None:
    encoding = UTF_16 if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else UTF_8_WITH_BOM
    text = head.decode(encoding, "ignore").lstrip().lower()
    if text.startswith("<?xml"):
        return "an HTML page" if any(mark in text for mark in _XML_HTML_MARKS) else "an XML document"
    return "an HTML page" if text.startswith(_HTML_STARTS) else None
