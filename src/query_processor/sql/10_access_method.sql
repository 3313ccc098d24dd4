-- The access method under the name that DSQL shows. The library is found by dynamic_library_path, so that a data folder
-- can move.
CREATE SCHEMA IF NOT EXISTS sys;

CREATE FUNCTION sys.btree_table_handler(internal) RETURNS table_am_handler
  LANGUAGE C STRICT AS 'zorya_query_processor', 'zorya_table_am_handler';
REVOKE ALL ON FUNCTION sys.btree_table_handler(internal) FROM PUBLIC;

CREATE ACCESS METHOD "btree-table" TYPE TABLE HANDLER sys.btree_table_handler;
