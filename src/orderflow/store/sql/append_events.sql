-- The only way into the log. Appends units of events to one store's log; a unit is all or none.
--
-- Arrays run in parallel, one element an event; the events of one unit stand together. `expected` is the version that
-- the unit's stream must have (NULL: whatever it has, a fact is never refused). Per unit one row comes back:
--   appended   with the position of its first event and the version of its last
--   duplicate  a source id of it is known: position, order and clear text of the first such event; nothing is written
--   conflict   the stream stands at another version (returned); nothing is written
--
-- Positions are gapless and follow commit order: one writer a store holds the lock from here to its commit, and
-- continues from the last row. Call it last in a transaction. READ COMMITTED only: after waiting for the lock each
-- statement must see what the former holder committed.
CREATE FUNCTION orderflow.append_events(
    p_store text, p_unit int[], p_order text[], p_expected bigint[], p_event uuid[], p_type text[], p_source text[],
    p_source_id text[], p_occurred timestamptz[], p_clear text[], p_body bytea[], p_body_key uuid[],
    p_body_mac bytea[], p_meta text[], p_leaf bytea[]
) RETURNS TABLE (unit int, outcome text, at_position bigint, at_version bigint, known_order text, known_clear text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = orderflow, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    n int := coalesce(array_length(p_unit, 1), 0);
    i int := 1;
    j int;
    k int;
    v_epoch int;
    v_position bigint;
    v_version bigint;
    v_recorded timestamptz;
    v_hash bytea;
    v_first bigint;
    v_known record;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append_events needs READ COMMITTED' USING ERRCODE = 'OF002';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('orderflow.log ' || p_store, 0));

    SELECT e.position, e.recorded_at, e.hash INTO v_position, v_recorded, v_hash
        FROM events e WHERE e.store = p_store ORDER BY e.position DESC LIMIT 1;
    SELECT p.epoch INTO v_epoch FROM epochs p WHERE p.store = p_store ORDER BY p.epoch DESC LIMIT 1;
    IF v_epoch IS NULL THEN
        v_epoch := 1;
        INSERT INTO epochs (store, epoch, first_position) VALUES (p_store, 1, 1);
    END IF;
    v_position := coalesce(v_position, 0);
    v_hash := coalesce(v_hash, sha256(convert_to('orderflow ' || p_store, 'UTF8')));
    v_recorded := greatest(v_recorded, wall_clock());

    WHILE i <= n LOOP
        j := i;
        WHILE j < n AND p_unit[j + 1] = p_unit[i] LOOP
            j := j + 1;
        END LOOP;
        unit := p_unit[i];

        v_known := NULL;
        FOR k IN i..j LOOP
            SELECT e.position, e.version, e.order_id, e.clear INTO v_known
                FROM events e
                WHERE e.store = p_store AND e.source = p_source[k] AND e.source_id = p_source_id[k];
            EXIT WHEN v_known.position IS NOT NULL;
        END LOOP;
        IF v_known.position IS NOT NULL THEN
            outcome := 'duplicate';
            at_position := v_known.position;
            at_version := v_known.version;
            known_order := v_known.order_id;
            known_clear := v_known.clear;
            RETURN NEXT;
            i := j + 1;
            CONTINUE;
        END IF;

        known_order := NULL;
        known_clear := NULL;
        SELECT s.version INTO v_version FROM streams s WHERE s.store = p_store AND s.order_id = p_order[i];
        v_version := coalesce(v_version, 0);
        IF p_expected[i] IS NOT NULL AND p_expected[i] <> v_version THEN
            outcome := 'conflict';
            at_position := NULL;
            at_version := v_version;
            RETURN NEXT;
            i := j + 1;
            CONTINUE;
        END IF;

        v_first := v_position + 1;
        FOR k IN i..j LOOP
            IF p_order[k] <> p_order[i] THEN
                RAISE EXCEPTION 'unit % names more than one order', unit USING ERRCODE = 'OF003';
            END IF;
            v_position := v_position + 1;
            v_version := v_version + 1;
            v_hash := sha256(v_hash || int4send(v_epoch) || int8send(v_position) || int8send(v_version)
                || int8send((extract(epoch FROM v_recorded) * 1000000)::bigint) || p_leaf[k]);
            INSERT INTO events (store, position, order_id, version, event_id, type, source, source_id, occurred_at,
                                recorded_at, clear, body, body_key, body_mac, meta, leaf, hash)
                VALUES (p_store, v_position, p_order[k], v_version, p_event[k], p_type[k], p_source[k],
                        p_source_id[k], p_occurred[k], v_recorded, p_clear[k], p_body[k], p_body_key[k],
                        p_body_mac[k], p_meta[k], p_leaf[k], v_hash);
        END LOOP;
        INSERT INTO streams AS s (store, order_id, version) VALUES (p_store, p_order[i], v_version)
            ON CONFLICT (store, order_id) DO UPDATE SET version = excluded.version;
        outcome := 'appended';
        at_position := v_first;
        at_version := v_version;
        RETURN NEXT;
        i := j + 1;
    END LOOP;
END
$$;
