"""A schema change that stays open: sent without the Sync that would end its implicit transaction, so it keeps the lane and
its locks, as a client does that stops in the middle of a pipeline. (In a block a schema change keeps nothing.)

    with OpenChange(connection, "ALTER TABLE t ADD COLUMN w int") as change:
        ...                      # the lane is held
        change.end()             # COMMIT; without it the change is rolled back at the end
"""
from psycopg import pq


class OpenChange:
    def __init__(self, connection, statement: str):
        self.pgconn = connection.pgconn
        self.statement = statement

    def __enter__(self) -> "OpenChange":
        self.pgconn.enter_pipeline_mode()
        result = self._send(self.statement)
        assert result.status == pq.ExecStatus.COMMAND_OK, result.error_message
        return self

    def __exit__(self, kind, value, trace) -> None:
        if self.pgconn.pipeline_status != pq.PipelineStatus.OFF:
            self._send("SELECT 1 / 0")
            self.end()

    def _send(self, statement: str):
        self.pgconn.send_query_params(statement.encode(), None)
        self.pgconn.send_flush_request()
        while self.pgconn.flush():
            pass
        result = self.pgconn.get_result()
        assert self.pgconn.get_result() is None
        return result

    def end(self) -> None:
        self.pgconn.pipeline_sync()
        while self.pgconn.flush():
            pass
        assert self.pgconn.get_result().status == pq.ExecStatus.PIPELINE_SYNC
        self.pgconn.exit_pipeline_mode()
