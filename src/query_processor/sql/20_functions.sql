-- What SQL may call. Of pg_catalog only what is listed here stays callable: immutable functions, aggregates and window
-- functions (they see nothing but their arguments), and the reviewed names below. Everything else reaches files, other
-- sessions, the log, large objects, or runs text as SQL, and loses its public grant. Operators, casts and aggregates run
-- under the same check. Reviewed: PostgreSQL 15, November 2026; a function that a newer release brings is denied until
-- it is added here.
SET allow_system_table_mods = on;

CREATE SCHEMA IF NOT EXISTS sys;
GRANT USAGE ON SCHEMA sys TO PUBLIC;

-- set_config is a door to settings, and version() tells the base. Built-in functions are called by oid, whatever pg_proc
-- says of them, so they are not replaced but moved away, and new ones stand under their names.
ALTER FUNCTION pg_catalog.set_config(text, text, boolean) RENAME TO builtin_set_config;
CREATE FUNCTION pg_catalog.set_config(setting_name text, new_value text, is_local boolean) RETURNS text
  LANGUAGE C VOLATILE AS 'zorya_query_processor', 'zorya_set_config';
REVOKE INSERT, UPDATE, DELETE ON pg_catalog.pg_settings FROM PUBLIC;  -- its rule calls set_config

ALTER FUNCTION pg_catalog.version() RENAME TO builtin_version;
CREATE FUNCTION pg_catalog.version() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  RETURN 'PostgreSQL 16'::text;  -- the recorded answer, no more

CREATE TABLE sys.callable_functions (name name NOT NULL) USING heap;
INSERT INTO sys.callable_functions SELECT unnest(string_to_array(trim(regexp_replace($list$
  age anytextcat array_to_json array_to_string clock_timestamp concat concat_ws convert convert_from convert_to
  current_database current_query current_schema current_schemas current_setting current_user date date_part date_trunc
  enum_first enum_last enum_range extract format format_type gen_random_uuid generate_series getdatabaseencoding
  getpgusername in_range inet_client_addr inet_client_port inet_server_addr inet_server_port length make_timestamptz money
  now numeric overlaps quote_literal quote_nullable random session_user setseed set_config statement_timestamp textanycat
  time timeofday timestamp timestamptz timetz timezone to_char to_date to_number to_timestamp transaction_timestamp version
  date_cmp_timestamptz date_eq_timestamptz date_ge_timestamptz date_gt_timestamptz date_le_timestamptz
  date_lt_timestamptz date_ne_timestamptz interval_pl_timestamptz timestamp_cmp_timestamptz timestamp_eq_timestamptz
  timestamp_ge_timestamptz timestamp_gt_timestamptz timestamp_le_timestamptz timestamp_lt_timestamptz
  timestamp_ne_timestamptz timestamptz_cmp_date timestamptz_cmp_timestamp timestamptz_eq_date timestamptz_eq_timestamp
  timestamptz_ge_date timestamptz_ge_timestamp timestamptz_gt_date timestamptz_gt_timestamp timestamptz_le_date
  timestamptz_le_timestamp timestamptz_lt_date timestamptz_lt_timestamp timestamptz_mi_interval timestamptz_ne_date
  timestamptz_ne_timestamp timestamptz_pl_interval
  json_build_array json_build_object json_populate_record json_populate_recordset json_to_record json_to_recordset
  json_to_tsvector jsonb_build_array jsonb_build_object jsonb_path_exists_tz jsonb_path_match_tz
  jsonb_path_query_array_tz jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record
  jsonb_populate_recordset jsonb_to_record jsonb_to_recordset jsonb_to_tsvector row_to_json to_json to_jsonb
  get_current_ts_config phraseto_tsquery plainto_tsquery to_tsquery to_tsvector ts_debug ts_headline ts_match_tq
  ts_match_tt ts_parse ts_token_type websearch_to_tsquery
  currval lastval nextval setval pg_sequence_last_value pg_sequence_parameters
  pg_sleep pg_sleep_for pg_sleep_until
  aclexplode col_description obj_description shobj_description oidvectortypes
  has_any_column_privilege has_column_privilege has_database_privilege has_foreign_data_wrapper_privilege
  has_function_privilege has_language_privilege has_parameter_privilege has_schema_privilege has_sequence_privilege
  has_server_privilege has_table_privilege has_tablespace_privilege has_type_privilege pg_has_role row_security_active
  pg_backend_pid pg_char_to_encoding pg_client_encoding pg_collation_for pg_column_compression pg_column_is_updatable
  pg_column_size pg_describe_object pg_encoding_to_char pg_identify_object pg_identify_object_as_address
  pg_index_column_has_property pg_index_has_property pg_indexam_has_property pg_is_in_recovery pg_is_other_temp_schema
  pg_my_temp_schema pg_options_to_table pg_partition_ancestors pg_partition_tree pg_postmaster_start_time
  pg_relation_is_publishable pg_relation_is_updatable pg_settings_get_flags pg_show_all_settings
  pg_tablespace_location pg_timezone_abbrevs pg_timezone_names pg_trigger_depth pg_typeof
  pg_collation_is_visible pg_conversion_is_visible pg_function_is_visible pg_opclass_is_visible pg_operator_is_visible
  pg_opfamily_is_visible pg_statistics_obj_is_visible pg_table_is_visible pg_ts_config_is_visible pg_ts_dict_is_visible
  pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible
  pg_get_catalog_foreign_keys pg_get_constraintdef pg_get_expr pg_get_function_arg_default pg_get_function_arguments
  pg_get_function_identity_arguments pg_get_function_result pg_get_function_sqlbody pg_get_functiondef pg_get_indexdef
  pg_get_keywords pg_get_object_address pg_get_partition_constraintdef pg_get_partkeydef pg_get_publication_tables
  pg_get_replica_identity_index pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef
  pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_triggerdef pg_get_userbyid pg_get_viewdef
  pg_database_size pg_indexes_size pg_relation_size pg_table_size pg_total_relation_size
  regclass to_regclass to_regcollation to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole
  to_regtype
  array_in array_out array_recv array_send date_in date_out domain_in domain_recv enum_in enum_out enum_recv enum_send
  interval_in interval_out multirange_in multirange_out range_in range_out record_in record_out record_recv record_send
  regclassin regclassout regcollationin regcollationout regconfigin regconfigout regdictionaryin regdictionaryout
  regnamespacein regnamespaceout regoperatorin regoperatorout regoperin regoperout regprocedurein regprocedureout
  regprocin regprocout regrolein regroleout regtypein regtypeout textrecv textsend time_in timestamp_in timestamp_out
  timestamptz_in timestamptz_out timetz_in varcharrecv varcharsend bpcharrecv bpcharsend namerecv namesend
$list$, '\s+', ' ', 'g')), ' '));

DO $do$
DECLARE
  denied record;
BEGIN
  FOR denied IN
    SELECT p.oid, p.oid::regprocedure AS signature FROM pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND p.provolatile <> 'i' AND p.prokind NOT IN ('a', 'w')
      AND NOT EXISTS (SELECT FROM sys.callable_functions c WHERE c.name = p.proname)
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', denied.signature);
  END LOOP;
END
$do$;
-- Two names are listed for their harmless forms only.
REVOKE ALL ON FUNCTION pg_catalog.ts_rewrite(tsquery, text), pg_catalog.ts_stat(text), pg_catalog.ts_stat(text, text)
  FROM PUBLIC;  -- run text as SQL
DROP TABLE sys.callable_functions;

-- A tool that dumps a schema shows grants that differ from the initial ones; ours are the initial ones here.
DELETE FROM pg_init_privs
WHERE classoid = 'pg_proc'::regclass AND objoid IN (SELECT oid FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace);
INSERT INTO pg_init_privs (objoid, classoid, objsubid, privtype, initprivs)
  SELECT oid, 'pg_proc'::regclass, 0, 'i', proacl FROM pg_proc
  WHERE pronamespace = 'pg_catalog'::regnamespace AND proacl IS NOT NULL;

-- Collations other than C, and text search in natural languages, do not exist.
DELETE FROM pg_collation WHERE collname NOT IN ('default', 'C', 'POSIX', 'ucs_basic');
DELETE FROM pg_depend WHERE (classid = 'pg_collation'::regclass AND objid NOT IN (SELECT oid FROM pg_collation))
  OR (refclassid = 'pg_collation'::regclass AND refobjid NOT IN (SELECT oid FROM pg_collation));
DO $do$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT quote_ident(cfgname) FROM pg_ts_config WHERE cfgname <> 'simple' LOOP
    EXECUTE 'DROP TEXT SEARCH CONFIGURATION pg_catalog.' || name;
  END LOOP;
  FOR name IN SELECT quote_ident(dictname) FROM pg_ts_dict WHERE dictname <> 'simple' LOOP
    EXECUTE 'DROP TEXT SEARCH DICTIONARY pg_catalog.' || name;
  END LOOP;
  EXECUTE 'DROP TEXT SEARCH TEMPLATE pg_catalog.snowball';
END
$do$;
DROP FUNCTION IF EXISTS pg_catalog.dsnowball_init(internal);
DROP FUNCTION IF EXISTS pg_catalog.dsnowball_lexize(internal, internal, internal, internal);

-- Nobody runs code in another language, nobody makes temporary objects or large objects.
DROP EXTENSION IF EXISTS plpgsql;
REVOKE ALL ON LANGUAGE sql FROM PUBLIC;
GRANT USAGE ON LANGUAGE sql TO PUBLIC;
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
GRANT CONNECT ON DATABASE postgres TO PUBLIC;
REVOKE ALL ON pg_catalog.pg_stat_activity, pg_catalog.pg_locks, pg_catalog.pg_stat_replication, pg_catalog.pg_stat_ssl,
  pg_catalog.pg_stat_gssapi, pg_catalog.pg_prepared_xacts, pg_catalog.pg_cursors, pg_catalog.pg_prepared_statements,
  pg_catalog.pg_stat_wal_receiver, pg_catalog.pg_replication_slots, pg_catalog.pg_user_mappings FROM PUBLIC;

RESET allow_system_table_mods;
