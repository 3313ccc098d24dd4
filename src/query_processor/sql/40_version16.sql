-- What version 16 has and version 15 lacks, as far as SQL can give it: clients go by the reported version.

-- Columns that the catalogue gained: `d.daticurules` is a call of this function when there is no such column.
CREATE FUNCTION pg_catalog.daticurules(pg_catalog.pg_database) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN NULL::text;
CREATE FUNCTION pg_catalog.collicurules(pg_catalog.pg_collation) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN NULL::text;
-- In 15 a member inherits by the role's own attribute, and may always SET ROLE.
CREATE FUNCTION pg_catalog.inherit_option(member pg_catalog.pg_auth_members) RETURNS boolean LANGUAGE sql STABLE
  PARALLEL SAFE RETURN (SELECT r.rolinherit FROM pg_catalog.pg_roles r WHERE r.oid = (member).member);
CREATE FUNCTION pg_catalog.set_option(pg_catalog.pg_auth_members) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN true;

-- Functions.
CREATE FUNCTION pg_catalog.any_value_transfn(anyelement, anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE STRICT
  PARALLEL SAFE AS 'SELECT $1';
CREATE AGGREGATE pg_catalog.any_value(anyelement) (
  sfunc = pg_catalog.any_value_transfn, stype = anyelement, combinefunc = pg_catalog.any_value_transfn, parallel = safe);

CREATE FUNCTION pg_catalog.date_add(timestamptz, interval) RETURNS timestamptz LANGUAGE sql STABLE STRICT PARALLEL SAFE
  RETURN $1 + $2;
CREATE FUNCTION pg_catalog.date_subtract(timestamptz, interval) RETURNS timestamptz LANGUAGE sql STABLE STRICT
  PARALLEL SAFE RETURN $1 - $2;
CREATE FUNCTION pg_catalog.date_add(timestamptz, interval, text) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT
  PARALLEL SAFE RETURN (($1 AT TIME ZONE $3) + $2) AT TIME ZONE $3;
CREATE FUNCTION pg_catalog.date_subtract(timestamptz, interval, text) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT
  PARALLEL SAFE RETURN (($1 AT TIME ZONE $3) - $2) AT TIME ZONE $3;

CREATE FUNCTION pg_catalog.array_shuffle(anyarray) RETURNS anyarray LANGUAGE sql VOLATILE STRICT PARALLEL RESTRICTED
  AS 'SELECT coalesce(pg_catalog.array_agg(e ORDER BY pg_catalog.random()), $1) FROM pg_catalog.unnest($1) e';
CREATE FUNCTION pg_catalog.random_normal(mean float8 DEFAULT 0, stddev float8 DEFAULT 1) RETURNS float8 LANGUAGE sql
  VOLATILE STRICT PARALLEL RESTRICTED
  RETURN mean + stddev * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random());

CREATE FUNCTION pg_catalog.pg_input_is_valid(text, text) RETURNS boolean
  LANGUAGE C STABLE STRICT AS 'zorya_query_processor', 'zorya_input_is_valid';
