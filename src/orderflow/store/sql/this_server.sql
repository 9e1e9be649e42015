-- Which server this database stands on: its system identifier, its timeline and the database's own number. Restoring,
-- promoting a standby and loading a dump each change one of them. The timeline is read off the name of the WAL file
-- under the pen: the control file names a new one only after the first checkpoint. Fails on a standby.
CREATE FUNCTION orderflow.this_server() RETURNS TABLE (system_identifier bigint, timeline bigint, database bigint)
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.system_identifier,
           ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint,
           (SELECT d.oid::bigint FROM pg_database d WHERE d.datname = current_database())
    FROM pg_control_system() s
$$;
