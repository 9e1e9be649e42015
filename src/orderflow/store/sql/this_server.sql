-- Which server this database stands on: its system identifier, its timeline and the database's own number. Restoring,
-- promoting a standby and loading a dump each change one of them. The timeline is read off the name of the WAL file
-- under the pen: the control file names a new one only after the first checkpoint.
-- What a server does not tell (taken away from us, or no such thing there) is 0, and cannot differ. Fails on a standby.
-- It has the rights and the search path of its caller, who could ask all of this himself.
CREATE FUNCTION orderflow.this_server(OUT system_identifier bigint, OUT timeline bigint, OUT database bigint)
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    SELECT d.oid::bigint INTO database FROM pg_catalog.pg_database d WHERE d.datname = current_database();
    BEGIN
        SELECT s.system_identifier INTO system_identifier FROM pg_catalog.pg_control_system() s;
    EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_function THEN
        system_identifier := 0;
    END;
    BEGIN
        timeline := ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::bigint;
    EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_function THEN
        timeline := 0;
    END;
END
$$;
