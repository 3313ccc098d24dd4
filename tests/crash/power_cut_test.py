"""Power cuts, disks that cannot sync and full disks under writers: what was acknowledged is there.

The page cache survives kill -9, so these servers run on a file layer that loses what was not synced (file_layer/shadow_disk.h).
Servers that answer before they have synced must be found by the same checks. ZORYA_CRASH_SEED repeats a run.
"""
import os
import pathlib
import random
import sys

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import writers as load  # noqa: E402
from file_layer import FAIL_ONCE, LayeredCluster  # noqa: E402
from heap_copy import check_heap, heap_copy  # noqa: E402

from support.private_cluster import OWNER  # noqa: E402
from support.waiting import wait_until  # noqa: E402

SEED = int(os.environ.get("ZORYA_CRASH_SEED", str(random.randrange(1 << 32))))
COMMITS = int(os.environ.get("ZORYA_CRASH_COMMITS", "200"))


def make_tables(layered):
    with layered.owner() as owner:
        owner.execute(load.SCHEMA)


def verify(layered, writers):
    owner = layered.owner()
    load.check(owner, writers)
    load.check_hot(owner, writers)
    load.check_no_duplicates(owner)
    assert load.check_indexes(owner) == 5
    owner.close()


def cut_under_load(layered, writers, seed, some):
    """What the power cut lost. The writers are on their way when it comes, and verify what they find afterwards."""
    with writers:
        writers.wait_for_more(COMMITS)
        lost = layered.power_cut(seed, some)
        assert layered.owner()
    assert not writers.errors, writers.errors[0]
    return lost


def test_what_was_acknowledged_survives_power_cuts(place):
    print(f"repeat with ZORYA_CRASH_SEED={SEED}")
    with LayeredCluster(place) as layered:
        make_tables(layered)
        assert layered.owner().execute("SHOW wal_sync_method").fetchone() == ("fdatasync",)
        writers = load.Writers(layered.connect)
        lost = [cut_under_load(layered, writers, SEED + n, some) for n, some in enumerate((False, True, True))]
        verify(layered, writers)
        print(lost)
        assert sum(cut["sectors_lost"] for cut in lost) > 0, lost  # else the layer loses nothing
        layered.clusters.stop()
        with heap_copy(layered.folder, place) as connection:
            assert check_heap(connection) == 3
            load.check(connection, writers)
            load.check_no_duplicates(connection)


@pytest.mark.parametrize("settings", [
    {"fsync": "off"},
    # The answer is sent before the log is synced, which then happens at leisure.
    {"synchronous_commit": "off", "wal_writer_delay": "10s"},
], ids=lambda settings: " ".join(settings))
def test_a_server_that_answers_too_early_is_found(place, settings):
    with LayeredCluster(place, settings=settings) as layered:
        make_tables(layered)
        with layered.owner() as owner:
            owner.execute("CHECKPOINT")
        writers = load.Writers(layered.connect)
        with writers:
            writers.wait_for_more(COMMITS)
            layered.power_cut(SEED)
            layered.owner()
            wait_until(lambda: writers.errors, what="a writer that misses a commit")
        missing = writers.errors[0]
        print(missing)
        assert isinstance(missing, psycopg.errors.UndefinedTable) if "fsync" in settings else "acknowledged" in str(missing)


@pytest.mark.parametrize("sync", ["log_sync_fails", "rows_sync_fails"])
def test_a_disk_that_cannot_sync_stops_the_server_and_costs_nothing(place, sync):
    with LayeredCluster(place) as layered:
        make_tables(layered)
        writers = load.Writers(layered.connect)
        with writers:
            writers.wait_for_more(COMMITS)
            layered.arm(sync, FAIL_ONCE)
            if sync == "rows_sync_fails":
                with pytest.raises(psycopg.Error):
                    layered.connect(OWNER, autocommit=True).execute("CHECKPOINT")
            layered.wait_until_reached()
            layered.owner()
            writers.wait_for_more(COMMITS)
            layered.power_cut(SEED)
            layered.owner()
            writers.wait_for_more(COMMITS)
        assert not writers.errors, writers.errors[0]
        verify(layered, writers)
        assert "PANIC:  could not f" in layered.server_log()
