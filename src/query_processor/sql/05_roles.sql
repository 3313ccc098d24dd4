-- The one role that a new cluster has for its clients. It owns schema public and may make schemas; it is no superuser,
-- cannot make roles or databases, and nobody else may use public. The server has 200 connections, three of them for
-- superusers; a few stay free for the router's own, without which no schema change would win against clients that hold all.
CREATE ROLE admin LOGIN CONNECTION LIMIT 192;
-- Job workers connect as this one and act as the owner of the table in hand. It owns nothing and may do nothing; nobody logs
-- in as it from outside (pg_hba.conf).
CREATE ROLE zorya_jobs LOGIN;
ALTER SCHEMA public OWNER TO admin;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO admin;
GRANT CREATE ON DATABASE postgres TO admin;
REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC;
-- Who copies the cluster: logs in for replication alone, as the server's rules say, and has no other right.
CREATE ROLE zorya_backup LOGIN REPLICATION;
COMMENT ON DATABASE postgres IS NULL;
COMMENT ON SCHEMA public IS NULL;
