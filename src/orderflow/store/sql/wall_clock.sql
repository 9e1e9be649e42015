-- The one clock of the system: leases, send_by and recorded_at are all told by it.
CREATE FUNCTION orderflow.wall_clock() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
AS 'SELECT clock_timestamp()';
