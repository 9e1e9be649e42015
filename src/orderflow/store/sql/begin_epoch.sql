-- The only way to a new epoch of a store's log: the next number that is also above p_above (what the world outside has
-- seen), beginning behind the last event, forked from its hash. Holds the log's lock to the end of the transaction, so
-- that no append comes between.
CREATE FUNCTION orderflow.begin_epoch(p_store text, p_above int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = orderflow, pg_temp
AS $$
DECLARE
    v_epoch int;
    v_position bigint;
    v_hash bytea;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'begin_epoch needs READ COMMITTED' USING ERRCODE = 'OF002';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('orderflow.log ' || p_store, 0));
    SELECT e.position, e.hash INTO v_position, v_hash
        FROM events e WHERE e.store = p_store ORDER BY e.position DESC LIMIT 1;
    SELECT greatest(coalesce(max(p.epoch), 1), p_above) + 1 INTO v_epoch FROM epochs p WHERE p.store = p_store;
    INSERT INTO epochs (store, epoch, first_position, forked_from_hash)
        VALUES (p_store, v_epoch, coalesce(v_position, 0) + 1,
                coalesce(v_hash, sha256(convert_to('orderflow ' || p_store, 'UTF8'))));
    RETURN v_epoch;
END
$$;
