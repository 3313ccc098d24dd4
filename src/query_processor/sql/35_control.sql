-- The session router's own way in: who holds the locks that a schema change waits for, and to end those, nothing else.
-- The role is no superuser, owns nothing, and may call these two functions only, which run as their owner because the
-- lock table, other sessions' states and autovacuum's processes are closed to everybody else.
CREATE ROLE zorya_control LOGIN;

-- Who holds up the waiting backends. A wait for the lane of schema changes (the one advisory lock that there is) is left
-- out: whoever has the lane is done soon, and must not be ended by the next in line. But who keeps it and waits for its
-- client, in the middle of a pipeline, is not done; one that is idle has given it back since the locks were looked at.
CREATE FUNCTION sys.lock_holders(waiters integer[],
                                 OUT waiter integer, OUT holder integer, OUT kind text, OUT state text, OUT wait text)
  RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
  SELECT w.pid, h.pid, a.backend_type, coalesce(a.state, ''), coalesce(a.wait_event, '')
  FROM pg_catalog.unnest(waiters) AS w (pid)
  CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS h (pid)
  CROSS JOIN LATERAL pg_catalog.pg_stat_get_activity(h.pid) AS a
  WHERE (a.wait_event = 'ClientRead' AND a.state <> 'idle')
     OR NOT EXISTS (SELECT FROM pg_catalog.pg_lock_status() AS l
                    WHERE l.pid = w.pid AND NOT l.granted AND l.locktype = 'advisory');
END;

-- Cancels or terminates `holder` if it still holds up `waiter`; counts what it did.
CREATE FUNCTION sys.end_holder(waiter integer, holder integer, terminate boolean) RETURNS boolean
  LANGUAGE C VOLATILE STRICT AS 'zorya_query_processor', 'zorya_end_lock_holder';

-- Ends what `holder` does, if it still is one that is to be ended: by now both may be at their next schema changes.
CREATE FUNCTION sys.end_lock_holder(waiter integer, holder integer, terminate boolean) RETURNS boolean
  LANGUAGE sql VOLATILE STRICT SECURITY DEFINER
BEGIN ATOMIC
  SELECT CASE WHEN EXISTS (SELECT FROM sys.lock_holders(ARRAY[$1]) AS h WHERE h.holder = $2)
              THEN sys.end_holder($1, $2, $3) ELSE false END;
END;

REVOKE ALL ON FUNCTION sys.end_holder(integer, integer, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION sys.lock_holders(integer[]), sys.end_lock_holder(integer, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sys.lock_holders(integer[]), sys.end_lock_holder(integer, integer, boolean) TO zorya_control;
