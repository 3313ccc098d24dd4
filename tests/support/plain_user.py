"""Programs of the build run by a plain user, for tests that run as root.

The build may lie under a closed home, where that user cannot go: it runs a copy. A shipped program would not lie there.
"""
import os
import pathlib
import shutil
import subprocess

import pytest

from support.scratch_server import ROOT, build_folder

UID = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_plain_user(*command, home=None):
    """The command, run by that user; with `home` as its home if one is given."""
    environment = ["env", f"HOME={home}"] if home else []
    return ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", *environment, *map(str, command)]


def own_folder(path):
    """Makes a folder that is that user's and closed to others."""
    path.mkdir(mode=0o700)
    shutil.chown(path, UID, UID)
    return path


def copy_build(place, *programs):
    """A build folder under `place` with these programs and all they load, which every user can reach."""
    build = pathlib.Path(place) / "build"
    (build / "bin").mkdir(parents=True)
    for program in programs:
        shutil.copy(build_folder() / "bin" / program, build / "bin")
    shutil.copytree(build_folder() / "lib" / "zorya", build / "lib" / "zorya")
    return open_to_all(build)


def copy_example(place, name):
    """A copy of examples/<name> under `place`, with the built program that its template may name."""
    place = pathlib.Path(place)
    shutil.copytree(ROOT / "examples" / name, place / "examples" / name)
    if (ROOT / "build" / name).exists():
        shutil.copytree(ROOT / "build" / name, place / "build" / name)
        open_to_all(place / "build")
    return open_to_all(place / "examples") / name


def copy_folder(source, target):
    shutil.copytree(source, target)
    return open_to_all(target)


def open_to_all(folder):
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    return folder
