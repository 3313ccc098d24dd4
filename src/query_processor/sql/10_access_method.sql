-- The access method under the name that DSQL shows. The library is found by dynamic_library_path, so that a data folder
-- can move.
CREATE SCHEMA IF NOT EXISTS sys;

CREATE FUNCTION sys.btree_table_handler(internal) RETURNS table_am_handler
  LANGUAGE C STRICT AS 'zorya_query_processor', 'zorya_table_am_handler';
REVOKE ALL ON FUNCTION sys.btree_table_handler(internal) FROM PUBLIC;

CREATE ACCESS METHOD "btree-table" TYPE TABLE HANDLER sys.btree_table_handler;

-- What was decided since the start of the server, and what the adjudicator remembers; 30_sys.sql has the views.
CREATE FUNCTION sys.commit_stats(
    OUT committed bigint, OUT conflicts bigint, OUT apply_failures bigint,
    OUT rows_updated_hot bigint, OUT rows_updated bigint, OUT rows_deleted bigint,
    OUT recent_keys bigint, OUT recent_keys_bytes bigint, OUT commits_known_as_a_whole bigint,
    OUT schema_changed bigint, OUT recent_keys_bytes_max bigint, OUT recent_sharers bigint,
    OUT commits_remembered_whole bigint, OUT keys_swept bigint, OUT sweeps bigint,
    OUT schema_reruns bigint, OUT lane_waits bigint, OUT waits_at_bound bigint,
    OUT wounds_rolled_back bigint, OUT wounds_copy_failed bigint, OUT wounds_cancelled bigint,
    OUT wounds_terminated bigint, OUT wounds_aged bigint)
  LANGUAGE C VOLATILE AS 'zorya_query_processor', 'zorya_commit_stats';
CREATE FUNCTION sys.conflict_stats(OUT relation oid, OUT kind text, OUT conflicts bigint)
  RETURNS SETOF record LANGUAGE C VOLATILE AS 'zorya_query_processor', 'zorya_conflict_stats';
CREATE FUNCTION sys.commit_times(OUT part text, OUT below_us bigint, OUT commits bigint)
  RETURNS SETOF record LANGUAGE C VOLATILE AS 'zorya_query_processor', 'zorya_commit_times';
REVOKE ALL ON FUNCTION sys.commit_stats(), sys.conflict_stats(), sys.commit_times() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sys.commit_stats(), sys.conflict_stats(), sys.commit_times() TO admin;
