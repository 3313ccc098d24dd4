-- Schema sys, as clients know it (fact sheet 6.1 and 5.4).
CREATE TABLE sys.job_log (
  job_id text NOT NULL, status text NOT NULL, details text, job_type text NOT NULL, class_id oid, object_id oid,
  other_id oid, starts int NOT NULL, start_time timestamptz NOT NULL, update_time timestamptz NOT NULL) USING heap;
REVOKE ALL ON sys.job_log FROM PUBLIC;
COMMENT ON TABLE sys.job_log IS 'Written by the extension only; clients read sys.jobs.';

CREATE VIEW sys.jobs AS
  SELECT j.job_id, j.status, j.details, j.job_type, j.class_id, j.object_id,
         (SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE c.oid = j.object_id) AS object_name,
         j.start_time, j.update_time
  FROM sys.job_log j
  WHERE j.status IN ('submitted', 'processing') OR j.update_time > pg_catalog.now() - interval '30 minutes';
GRANT SELECT ON sys.jobs TO PUBLIC;

-- Which IAM identity may log in as which role. Empty until AWS IAM GRANT exists.
CREATE VIEW sys.iam_pg_role_mappings AS
  SELECT NULL::oid AS iam_oid, NULL::text AS arn, NULL::oid AS pg_role_oid, NULL::text AS pg_role_name,
         NULL::oid AS grantor_pg_role_oid, NULL::text AS grantor_pg_role_name
  WHERE false;
GRANT SELECT ON sys.iam_pg_role_mappings TO PUBLIC;

CREATE FUNCTION sys.dsql_major_version() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 1;

CREATE PROCEDURE sys.wait_for_job(job_id text, INOUT completed boolean DEFAULT NULL)
  LANGUAGE C AS 'zorya_query_processor', 'zorya_wait_for_job';

-- The commit path, for admin (docs/transactions.md): since the start of the server.
CREATE VIEW sys.commit_stats AS SELECT * FROM sys.commit_stats();
CREATE VIEW sys.conflict_stats AS
  SELECT s.relation AS table_id,
         (SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE c.oid = s.relation) AS table_name,
         s.kind, s.conflicts
  FROM sys.conflict_stats() s;
CREATE VIEW sys.commit_times AS SELECT * FROM sys.commit_times();
GRANT SELECT ON sys.commit_stats, sys.conflict_stats, sys.commit_times TO admin;

-- The rules of the gate as rows, for the owner: docs/sql.md is made from them.
CREATE FUNCTION sys.gate_rules(OUT area text, OUT sql text, OUT answer text, OUT sqlstate text, OUT message text,
                               OUT source text)
  RETURNS SETOF record LANGUAGE C AS 'zorya_query_processor', 'zorya_gate_rules';
REVOKE ALL ON FUNCTION sys.gate_rules() FROM PUBLIC;
