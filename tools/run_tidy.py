#!/usr/bin/env python3
"""Runs clang-tidy on the sources that changed since a base commit, within a time budget; what was not reached is named.

run_tidy.py [--base COMMIT] [--seconds N] [--all] [FILE ...]
"""
import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "tidy"


def git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")


def changed_files(base: str | None) -> list[str]:
    if base is None:
        found = [line for line in git("rev-list", "-1", "--before=24 hours ago", "HEAD") if line]
        base = found[0] if found else None
    if base is None:
        return [name for name in git("ls-files", "*.cc", "*.c") if name]
    return [name for name in git("diff", "--name-only", "--diff-filter=d", base, "--", "*.cc", "*.c") if name]


def configure() -> dict[str, str]:
    """Makes the compilation database; returns {file: folder} of what it holds."""
    import json

    subprocess.run(["cmake", "--preset", "tidy", "-DCMAKE_C_COMPILER=cc", "-DCMAKE_CXX_COMPILER=c++"], cwd=ROOT,
                   check=True, stdout=subprocess.DEVNULL)
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    return {str(pathlib.Path(entry["file"]).resolve()): entry["directory"] for entry in entries}


def tidy(name: str, deadline: float) -> tuple[str, int, str]:
    left = deadline - time.monotonic()
    if left <= 1:
        return name, -1, ""
    try:
        done = subprocess.run(
            ["clang-tidy-16", "-p", str(BUILD), "--quiet", "--extra-arg=-Wno-unknown-warning-option",
             "--extra-arg=-Wno-unused-command-line-argument", name],
            cwd=ROOT, capture_output=True, text=True, timeout=left)
    except subprocess.TimeoutExpired:
        return name, -1, ""
    return name, done.returncode, done.stdout


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--base")
    parser.add_argument("--seconds", type=float, default=840)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()

    deadline = time.monotonic() + arguments.seconds
    names = arguments.files or ([n for n in git("ls-files", "*.cc", "*.c") if n] if arguments.all
                                else changed_files(arguments.base))
    known = configure()
    names = [name for name in names if str((ROOT / name).resolve()) in known and not name.startswith("tests/")
             and not name.endswith("_test.cc")]
    failed, missed = 0, []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for name, status, output in pool.map(lambda n: tidy(n, deadline), names):
            if status == -1:
                missed.append(name)
            elif status != 0:
                failed += 1
                print(output, flush=True)
    print(f"tidy: {len(names) - len(missed)} of {len(names)} files read, {failed} with findings")
    if missed:
        print("tidy: not reached within the budget: " + " ".join(missed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
