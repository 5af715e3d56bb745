"""Standard input, output and errors, whatever the caller made of them."""

from __future__ import annotations

import io
import os
import sys


def complete_streams() -> None:
    """Open /dev/null for each stream that the caller closed, and let no character be too much for the output.

    A closed one would otherwise be the next file we open, and what is meant for the terminal go into that.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for the rest of the process
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
