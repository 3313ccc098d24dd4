"""Each fault planted in the module must be found by the simulation against the model, whatever the seed.

ZORYA_SIMULATION_SEEDS=20 is the long form: so many seeds for each fault; ZORYA_SIMULATION_FIRST_SEED goes on from there.
"""
import os
import pathlib
import subprocess
import sys

import pytest

SIMULATION = pathlib.Path(__file__).with_name("server_simulation.py")
FIRST_SEED = os.environ.get("ZORYA_SIMULATION_FIRST_SEED", "1")
SEEDS = os.environ.get("ZORYA_SIMULATION_SEEDS", "1")
FAULTS = ["skip_index_only_scan",  # a row that is changed or gone is counted from the index alone
          "leave_skip_fetch",  # the same, from a bitmap and the visibility map
          "skip_mark_in_cascade",  # the mark of the parent that a child falls back to is lost
          "skip_partial_entry",  # an entry of a partial unique index is not told to the adjudicator
          "latest_snapshot_in_foreign_keys",  # a foreign key sees what its transaction does not
          "hash_without_equality",  # 1.0 is not 1.00
          "skip_write_keys", "skip_unique_key", "skip_mark", "sweep_too_early"]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_simulation_finds(fault):
    done = subprocess.run([sys.executable, SIMULATION, "--seed", FIRST_SEED, "--seeds", SEEDS, "--steps", "20000", "--plant",
                           fault, "--prove"], capture_output=True, text=True, timeout=120 * int(SEEDS))
    print(done.stdout, done.stderr)
    assert done.returncode == 0, "with some seed nobody noticed within a minute"
    assert done.stdout.count("again: ") == int(SEEDS)
