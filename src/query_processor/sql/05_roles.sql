-- The one role that a new cluster has for its clients. It owns schema public and may make schemas; it is no superuser,
-- cannot make roles or databases, and nobody else may use public.
CREATE ROLE admin LOGIN;
ALTER SCHEMA public OWNER TO admin;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO admin;
GRANT CREATE ON DATABASE postgres TO admin;
REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC;
COMMENT ON DATABASE postgres IS NULL;
COMMENT ON SCHEMA public IS NULL;
