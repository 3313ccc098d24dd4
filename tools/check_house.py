#!/usr/bin/env python3
"""The rules of the house that no compiler holds: each room's README, arrows that point down, banned calls and words.

Exit 1 and a line per finding: file:line: what, and how to mend it.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A room may include rooms of lower layers, and of its own layer only what is named here.
LAYER = {"base": 1,
         "net": 2, "pgwire": 2, "http": 2, "iam": 2, "adjudicator": 2,
         "query_processor": 3, "cluster": 3, "function_host": 3, "telemetry": 3,
         "router": 4, "gateway": 4, "control_api": 4, "template_engine": 4,
         "cli": 5, "function_kit": 0}
SAME_LAYER = {("function_host", "telemetry"): "telemetry/sink.h", ("net", "iam"): None}
FRONTS = {"router", "gateway", "control_api", "template_engine"}

BANNED = [
    (re.compile(r"\bstd::(cout|cerr)\b"), {"cli", "apps", "function_kit"}, "print through base::log"),
    (re.compile(r"\bsystem_clock::now\(\)"), {"base", "function_kit", "telemetry"}, "take a base::Clock"),
    (re.compile(r"\b(system|popen|strcpy|strcat|sprintf|gets|mktemp|tmpnam)\s*\("), set(), "unsafe: use a safe form"),
    (re.compile(r"\bpg_usleep\s*\("), set(), "wait on a latch"),
]
ONLY_IN = [
    (re.compile(r'#include [<"](postgres\.h|access/|catalog/|executor/|utils/rel)'), ("src/query_processor/",)),
    (re.compile(r"#include <openssl/"), ("src/net/", "src/iam/", "src/function_kit/", "src/router/", "tests/", "bench/")),
    (re.compile(r"#include <sqlite3\.h>"), ("src/telemetry/", "tests/")),
]


def tracked(*patterns: str) -> list[str]:
    done = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.split("\n") if line and (ROOT / line).exists()]


def room_of(name: str) -> str | None:
    parts = name.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def check_rooms(found: list[str]) -> None:
    for folder in sorted((ROOT / "src").iterdir()):
        if not folder.is_dir() or not tracked(f"src/{folder.name}"):
            continue
        readme = folder / "README.md"
        if not readme.exists():
            found.append(f"src/{folder.name}: no README.md: three lines: what it is; what it owns and refuses; where to start")
        elif not 2 <= len([line for line in readme.read_text().split("\n") if line.strip()]) <= 12:
            found.append(f"{readme.relative_to(ROOT)}: a room's README is about three lines")
        if folder.name not in LAYER:
            found.append(f"src/{folder.name}: a room that tools/check_house.py does not know: give it a layer")


def check_arrows(name: str, text: str, found: list[str]) -> None:
    room = room_of(name)
    if room is None or room not in LAYER:
        return
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'#include "([a-z_]+)/([^"]+)"', line)
        if not match or match[1] not in LAYER or match[1] == room:
            continue
        other, header = match[1], match[2]
        if room == "function_kit" or other == "function_kit":
            found.append(f"{name}:{number}: function_kit stands alone")
        elif LAYER[other] > LAYER[room]:
            found.append(f"{name}:{number}: {room} may not include {other}: arrows point down")
        elif LAYER[other] == LAYER[room] == 3 and (room, other) != ("function_host", "telemetry"):
            found.append(f"{name}:{number}: services do not include each other")
        elif room in FRONTS and other in FRONTS and header not in ("client.h", "plan.h"):
            found.append(f"{name}:{number}: fronts include each other only by client.h or plan.h")


def check_lines(name: str, text: str, found: list[str]) -> None:
    room = room_of(name) or name.split("/")[0]
    product = name.startswith(("src/", "apps/"))
    is_test = name.endswith("_test.cc")
    for number, line in enumerate(text.split("\n"), 1):
        if product and not is_test:
            code = line.split("//")[0]
            for pattern, allowed, mend in BANNED:
                if room not in allowed and pattern.search(code) and "NOLINT" not in line:
                    found.append(f"{name}:{number}: {pattern.search(code)[0]}: {mend}")
            if re.search(r"\bTODO(?!\((perf|test|cleanup|security)\): )", line):
                found.append(f"{name}:{number}: TODO(perf|test|cleanup|security): names the kind of work")
        for pattern, folders in ONLY_IN:
            if pattern.search(line) and not name.startswith(folders):
                found.append(f"{name}:{number}: {line.strip()} belongs to {', '.join(folders)}")


def main() -> int:
    found: list[str] = []
    check_rooms(found)
    for name in tracked("*.h", "*.cc", "*.c"):
        text = (ROOT / name).read_text(errors="replace")
        check_arrows(name, text, found)
        check_lines(name, text, found)
    for line in found:
        print(line)
    print(f"house: {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
