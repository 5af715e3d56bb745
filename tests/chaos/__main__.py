"""Run the whole system under chaos and prove that nothing was lost.

scripts/chaos [--minutes 10] [--seed N] [--only NAME] [--burst 200] [--keep]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random, SystemRandom

from tests.chaos.catalogue import FAULTS
from tests.chaos.complaints import Complaints
from tests.chaos.disk import move_into_namespace
from tests.chaos.run import Run


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="of faults; what follows takes a while more"
    )
    parser.add_argument(
        "--seed", type=int, default=SystemRandom().randrange(2**32), help="of all that is left to chance"
    )
    parser.add_argument(
        "--only", action="append", help="this fault alone, by its name in the table; repeatable"
    )
    parser.add_argument("--burst", type=int, default=200, help="files dropped at once")
    parser.add_argument("--keep", action="store_true", help="the world's folder, also where nothing is wrong")
    options = parser.parse_args(arguments)
    unknown = set(options.only or []) - {fault.name for fault in FAULTS}
    if unknown:
        parser.error(f"no fault is named {', '.join(sorted(unknown))}")
    move_into_namespace("tests.chaos", [*arguments, "--seed", str(options.seed)])
    return run(options)


def run(options: argparse.Namespace) -> int:
    print(f"seed {options.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="eomd-chaos-"))
    complaints = Complaints()
    names = options.only or [fault.name for fault in FAULTS]
    with Run(folder, options.seed, names, options.burst, complaints) as one:
        one.play(Random(options.seed), time.monotonic() + options.minutes * 60)
        one.end()
        if complaints:
            one.save()
    for complaint in complaints:
        print(f"COMPLAINT: {complaint}")
    if complaints or options.keep:
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
