"""The command that repeats what failed, to be printed beside it."""
import sys

from support.scratch_server import ROOT, build_folder


def command(program: str, *words) -> str:
    """For a shell in this folder: this Python, this build, `program` (its __file__) and its arguments."""
    return f"PYTHONPATH={ROOT / 'tests'} ZORYA_BUILD={build_folder()} {sys.executable} {program} {' '.join(map(str, words))}"
