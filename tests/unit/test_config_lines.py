"""Every key's line is found in whatever form TOML lets it be written."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from eomd.config_problems import find_lines

TEXT = '''\
# a comment = 1
data_dir = "x" # [not.a.table]

[server] # y = 2
listen = """
fake = 1
"""
"trusted proxies" = [
  "a", # ]
  'b = 3',
]
[clusters."fi.sh"]
nodes = ["a"]
 tables.inner.key = { a = 1, b = [1,
  2] }
after = 1
[[array]]
key = 1
'''


def test_lines_are_found_through_strings_lists_and_comments() -> None:
    tomllib.loads(TEXT)
    assert list(find_lines(TEXT)) == [
        (("data_dir",), 2),
        (("server",), 4),
        (("server", "listen"), 5),
        (("server", "trusted proxies"), 8),
        (("clusters", "fi.sh"), 12),
        (("clusters", "fi.sh", "nodes"), 13),
        (("clusters", "fi.sh", "tables", "inner", "key"), 14),
        (("clusters", "fi.sh", "after"), 16),
        (("array",), 17),
        (("array", "key"), 18),
    ]


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=20)), max_size=8))
def test_a_keys_line_is_where_it_was_written(entries: list[tuple[int, str]]) -> None:
    lines, expected = [], []
    for number, (blank, value) in enumerate(entries):
        lines += [""] * blank
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        quoted = "".join(
            c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted if not "\ud800" <= c <= "\udfff"
        )
        lines.append(f'k{number} = "{quoted}"')
        expected.append(((f"k{number}",), len(lines)))
    text = "\n".join(lines)
    tomllib.loads(text)
    assert list(find_lines(text)) == expected
