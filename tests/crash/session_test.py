"""kill -9 of zorya, the postmaster and a backend under writers that come through the session router, as clients do.

ZORYA_CRASH_COMMITS (default 200) is how much is written between two kills.
"""
import os
import pathlib
import sys
import textwrap

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import writers as load  # noqa: E402

from support.private_cluster import OWNER, PrivateClusters  # noqa: E402
from support.zorya_up import Up  # noqa: E402

COMMITS = int(os.environ.get("ZORYA_CRASH_COMMITS", "200"))
TEMPLATE = textwrap.dedent("""\
    AWSTemplateFormatVersion: "2010-09-09"
    Transform: AWS::Serverless-2016-10-31
    Resources:
      Database:
        Type: AWS::DSQL::Cluster
        Properties:
          DeletionProtectionEnabled: false
    """)
SCHEMA = (
    "CREATE TABLE entries (id bigint PRIMARY KEY, writer int NOT NULL, n int NOT NULL)",
    "CREATE INDEX ASYNC ON entries (writer)",
    "CREATE TABLE counters (writer int PRIMARY KEY, n int NOT NULL, moving int NOT NULL)",
    "CREATE INDEX ASYNC ON counters (moving)",
    "CREATE TABLE hot (id int PRIMARY KEY, n bigint NOT NULL)",
    "INSERT INTO hot VALUES (1, 0)",
)


def test_nothing_acknowledged_is_lost(place):
    template = place / "template.yaml"
    template.write_text(TEMPLATE)

    def kill_zorya():
        up.kill()
        up.start()
    with Up(place, template) as up:
        with up.connect(autocommit=True) as connection:
            for statement in SCHEMA:
                connection.execute(statement)
        kills = (up.kill_backend, up.kill_postmaster, kill_zorya)
        with load.Writers(up.connect, count=6) as writers:
            for kill in kills:
                writers.wait_for_more(COMMITS)
                kill()
            writers.wait_for_more(COMMITS)
        assert not writers.errors, writers.errors[0]
        assert writers.lost_connections > 0 and sum(writers.conflicts) > 0
        cluster = up.cluster
    with PrivateClusters(place / "data", cluster, owner_door=True) as clusters:
        owner = clusters.connect(OWNER)
        load.check(owner, writers)
        load.check_hot(owner, writers)
        assert load.check_indexes(owner) == 5
