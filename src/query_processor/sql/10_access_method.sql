-- The access method under the name that DSQL shows. The library is found by dynamic_library_path, so that a data folder
-- can move.
CREATE SCHEMA IF NOT EXISTS sys;

CREATE FUNCTION sys.btree_table_handler(internal) RETURNS table_am_handler
  LANGUAGE C STRICT AS 'zorya_query_processor', 'zorya_table_am_handler';
REVOKE ALL ON FUNCTION sys.btree_table_handler(internal) FROM PUBLIC;

CREATE ACCESS METHOD "btree-table" TYPE TABLE HANDLER sys.btree_table_handler;

-- For the owner of the server: what was decided since its start, and what the adjudicator remembers.
CREATE FUNCTION sys.commit_stats(
    OUT committed bigint, OUT conflicts bigint, OUT no_room bigint, OUT apply_failures bigint,
    OUT rows_updated_hot bigint, OUT rows_updated bigint, OUT rows_deleted bigint,
    OUT recent_keys bigint, OUT recent_keys_bytes bigint, OUT commits_known_as_a_whole bigint)
  LANGUAGE C VOLATILE AS 'zorya_query_processor', 'zorya_commit_stats';
REVOKE ALL ON FUNCTION sys.commit_stats() FROM PUBLIC;
