"""Stamps the commit into what is built, so that an installed eomd knows where it came from; adds etc/."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))

from eomd.version import describe_checkout  # noqa: E402 - the tree being built, not an installed one


def stamp(tree: Path) -> None:
    """Write the checkout's commit; outside of one the stamp that the sdist brought stays."""
    commit = describe_checkout(ROOT)
    if commit:
        (tree / "eomd" / "commit.txt").write_text(commit + "\n", encoding="ascii")


class StampedBuild(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            stamp(Path(self.build_lib))
            shutil.copytree(ROOT / "etc", Path(self.build_lib) / "eomd/etc", dirs_exist_ok=True)


class StampedSdist(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        stamp(Path(base_dir))


setup(cmdclass={"build_py": StampedBuild, "sdist": StampedSdist})
