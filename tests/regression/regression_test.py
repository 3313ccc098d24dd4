"""PostgreSQL's own regression files, on heap and on our access method by the owner's door: what differs must be explained.

    tools/postgresql_source.sh FOLDER prints SOURCE; then regression_test.py SOURCE [--results FOLDER]

Not part of `make test`: the files are Debian's, taken when this runs. Both runs are ours alone: the same server, library and
settings, so what a file shows differently is the access method's doing. docs/regression.md lists which may differ and why;
a file that differs and is not listed there, or is listed and does not, is a failure.
"""
import argparse
import difflib
import pathlib
import re
import shutil
import subprocess
import sys

from support.scratch_server import OWNER, PORT, ROOT, ScratchServer

EXPLAINED = ROOT / "docs" / "regression.md"
# The name of the method is in every listing of dependencies and of \d+.
METHOD = re.compile(r"btree-table")


def pg_regress() -> str:
    done = subprocess.run(["pg_config", "--pgxs"], capture_output=True, text=True, check=True)
    return str(pathlib.Path(done.stdout.strip()).parents[1] / "test" / "regress" / "pg_regress")


def make_c_functions(source: pathlib.Path, folder: pathlib.Path) -> None:
    """The C functions that some files declare."""
    include = subprocess.run(["pg_config", "--includedir-server"], capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["cc", "-O1", "-fPIC", "-shared", f"-I{include}", "-o", folder / "regress.so", source / "src/test/regress/regress.c"],
                   check=True)


def run(source: pathlib.Path, results: pathlib.Path, method: str) -> pathlib.Path:
    """Runs every file on a fresh server, one after another; the folder of their outputs."""
    output = results / method
    shutil.rmtree(output, ignore_errors=True)
    (output / "testtablespace").mkdir(parents=True)
    make_c_functions(source, output)
    settings = {"default_table_access_method": method, "max_prepared_transactions": "0", "max_connections": "40",
                "idle_in_transaction_session_timeout": "0", "temp_file_limit": "-1"}
    with ScratchServer(settings=settings) as server:
        argv = [pg_regress(), "--use-existing", "--dbname=postgres", f"--host={server.folder}", f"--port={PORT}", f"--user={OWNER}",
                f"--bindir={server.programs}", f"--inputdir={source}/src/test/regress", f"--outputdir={output}", f"--dlpath={output}",
                "--max-connections=1", f"--schedule={source}/src/test/regress/parallel_schedule"]
        with open(output / "log", "w") as log:
            # It exits 1: its own expectations are of a server without our settings.
            subprocess.run(argv, stdout=log, stderr=log, timeout=3000, cwd=output, check=False)
    return output / "results"


def explained() -> set[str]:
    return set(re.findall(r"^\| `([a-z0-9_]+)` \|", EXPLAINED.read_text(), re.M))


def differences(heap: pathlib.Path, ours: pathlib.Path) -> dict[str, list[str]]:
    found = {}
    for path in sorted(heap.glob("*.out")):
        a = METHOD.sub("heap", path.read_text(errors="replace")).splitlines()
        other = ours / path.name
        b = METHOD.sub("heap", other.read_text(errors="replace")).splitlines() if other.exists() else []
        lines = list(difflib.unified_diff(a, b, "heap", "ours", lineterm="", n=2))
        if lines:
            found[path.stem] = lines
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "build" / "regression")
    parser.add_argument("--compare-only", action="store_true")
    arguments = parser.parse_args()
    folders = [arguments.results / method / "results" for method in ("heap", "btree-table")]
    if not arguments.compare_only:
        folders = [run(arguments.source.resolve(), arguments.results.resolve(), method) for method in ("heap", "btree-table")]
    found = differences(*folders)
    files = len(list(folders[0].glob("*.out")))
    for name, lines in found.items():
        (arguments.results / f"{name}.diff").write_text("\n".join(lines) + "\n")
    print(f"{files} files, {files - len(found)} alike; different: {' '.join(found)}")
    new, gone = sorted(set(found) - explained()), sorted(explained() - set(found))
    for name in new:
        print(f"NOT EXPLAINED: {name}: see {arguments.results / (name + '.diff')}")
    for name in gone:
        print(f"NO LONGER DIFFERENT: {name}: take it out of {EXPLAINED}")
    return 1 if new or gone or files < 180 else 0


if __name__ == "__main__":
    sys.exit(main())
