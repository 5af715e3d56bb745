"""Text in a terminal's columns: what is cut and wrapped fits, also where characters are wide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.cli.text import GLUE, cut, printable, width, wrap

TEXTS = st.text(alphabet="ab /.,:()捕鱼集群，。（）「」e\u0301\N{NO-BREAK SPACE}", max_size=120)


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("fish", 4), ("捕鱼", 4), ("ＡＢ", 4), ("e\u0301", 1), ("\u200d", 0)]
)
def test_wide_characters_count_two_and_marks_none(text: str, columns: int) -> None:
    assert width(text) == columns


def test_what_is_too_long_is_cut_at_a_column() -> None:
    assert cut("捕鱼集群", 8) == "捕鱼集群"
    assert cut("捕鱼集群", 7) == "捕鱼集…"
    assert cut("捕鱼集群", 6) == "捕鱼…"
    assert cut("abcdef", 4) == "abc…"


@given(TEXTS, st.integers(2, 40))
def test_what_is_cut_fits(text: str, columns: int) -> None:
    assert width(cut(text, columns)) <= columns


@given(TEXTS, st.integers(8, 40), st.integers(0, 4))
def test_what_is_wrapped_fits_and_is_all_there(text: str, columns: int, indented: int) -> None:
    lines = list(wrap(text, columns, " " * indented))
    assert max(map(width, lines), default=0) <= columns
    assert "".join(lines).replace(" ", "") == text.replace(" ", "").replace(GLUE, "")
    assert all(line.startswith(" " * indented) for line in lines[1:])


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "  three"]),
        ("one  two", ["one  two"]),
        ("one" + GLUE + "two three", ["one two", "  three"]),
        ("a/b/c/d/e/f", ["a/b/c/d/", "  e/f"]),
        ("集群没有节点", ["集群没有", "  节点"]),
        ("节点没有，等", ["节点没", "  有，等"]),
        ("", []),
    ],
)
def test_lines_are_broken_where_a_reader_expects_it(text: str, lines: list[str]) -> None:
    assert list(wrap(text, 8, "  ")) == lines


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert printable("a\x1b[2J\n" + GLUE + "群") == "a\ufffd[2J\ufffd" + GLUE + "群"
    assert list(wrap("a\x1bb", 80)) == ["a\ufffdb"]
