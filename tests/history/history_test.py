"""Random histories of concurrent clients: ours must be free of what snapshot isolation forbids, and the checker must see it
where it is not forbidden.

Long form, a million transactions in slices that can be resumed: history_test.py --long FOLDER [--transactions N] [--clients N]
A slice that shows something is kept in FOLDER, with the command that checks it again.
"""
import argparse
import json
import pathlib
import subprocess
import sys

import pytest

from support.scratch_server import ScratchServer, build_folder

TOOL = build_folder() / "bin" / "zorya_history_tool"
# Its row locks deadlock in such a load; ours has none.
PLAIN = {"extension": False, "settings": {"deadlock_timeout": "10ms"}}
TABLE = "CREATE TABLE {} (k bigint PRIMARY KEY, list text NOT NULL)"


def run(server, user, *, transactions, seed, isolation="repeatable read", clients=16, save=None):
    table = f"lists_{seed}"
    with server.connect(user) as connection:
        connection.execute(TABLE.format(table))
    argv = [TOOL, "run", "--connection", f"host={server.folder} port=5432 user={user} dbname=postgres", "--table", table,
            "--isolation", isolation, "--clients", str(clients), "--transactions", str(transactions), "--seed", str(seed)]
    done = subprocess.run(argv + (["--save", save] if save else []), capture_output=True, text=True, timeout=3600)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def test_ours_shows_nothing_that_snapshot_isolation_forbids():
    with ScratchServer() as server:
        told = run(server, "admin", transactions=6000, seed=1)
        assert told["findings"] == {}, told
        # Not for want of meetings: clients conflicted, and lists grew long enough to be replaced.
        assert 1000 < told["committed"] < 5900 and told["lists"] > 24, told
        assert server.connect().execute("select apply_failures from sys.commit_stats()").fetchone() == (0,)


def test_the_checker_reports_lost_updates_of_read_committed():
    with ScratchServer(**PLAIN) as server:
        told = run(server, "zorya_owner", transactions=4000, seed=1, isolation="read committed")
        assert told["findings"].get("lost update", 0) > 0, told


def test_the_checker_clears_plain_repeatable_read_of_all_but_locked_reads():
    """PostgreSQL's FOR UPDATE marks nothing that outlives its transaction: only in that it is weaker than ours."""
    with ScratchServer(**PLAIN) as server:
        told = run(server, "zorya_owner", transactions=4000, seed=1)
        assert set(told["findings"]) <= {"forbidden cycle"}, told


@pytest.mark.parametrize("fault", ["skip_write_keys", "skip_mark", "sweep_too_early"])
def test_a_planted_fault_is_found(fault):
    """By the checker, or because heap, the second guard, disagreed with a verdict."""
    for seed in (1, 2, 3):
        with ScratchServer(plant=fault) as server:
            try:
                found = run(server, "admin", transactions=5000, seed=seed)["findings"]
            except AssertionError:
                # On a server with assertions the heap may say it by one of them.
                if "TM_BeingModified" not in server.log():
                    raise
                return
            disagreed = server.connect().execute("select apply_failures from sys.commit_stats()").fetchone()[0]
        if found or disagreed:
            return
    raise AssertionError(f"{fault}: nobody noticed")


def long_form(arguments):
    folder = pathlib.Path(arguments.long)
    folder.mkdir(parents=True, exist_ok=True)
    slice_size = 50_000
    for seed in range(1, arguments.transactions // slice_size + 1):
        result = folder / f"slice-{seed}.json"
        if result.exists():
            continue
        history = folder / f"slice-{seed}.history"
        with ScratchServer(fsync=True) as server:
            told = run(server, "admin", transactions=slice_size, seed=seed, clients=arguments.clients, save=str(history))
        print(f"slice {seed}: {json.dumps(told)}", flush=True)
        if told["findings"]:
            print(f"FOUND: {TOOL} check {history}")
            sys.exit(1)
        history.unlink()
        result.write_text(json.dumps(told))
    told = [json.loads(path.read_text()) for path in folder.glob("slice-*.json")]
    print(json.dumps({"slices": len(told), "transactions": sum(t["transactions"] for t in told),
                      "committed": sum(t["committed"] for t in told), "findings": 0}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", required=True, metavar="FOLDER")
    parser.add_argument("--transactions", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=16)
    long_form(parser.parse_args())
