-- The only way into the log. Appends units of events to one store's log; a unit is all or none.
--
-- Arrays run in parallel, one element an event; the events of one unit stand together. `expected` is the version that
-- the unit's stream must have (NULL: whatever it has, a fact is never refused). Per unit one row comes back, in order:
--   appended   with the position of its first event and the version of its last
--   duplicate  a source id of it is known: position, order and clear text of the first such event; nothing is written
--   conflict   the stream stands at another version (returned); nothing is written
-- Units are judged one behind the other, as if each came by itself: a later one sees what an earlier one wrote.
--
-- Positions are gapless and follow commit order: one writer a store holds the lock from here to its commit, and
-- continues from the last row. Call it last in a transaction. READ COMMITTED only: after waiting for the lock each
-- statement must see what the former holder committed.
--
-- It asks and writes in whole sets: one statement finds what is known of all events, one inserts them; between them
-- a loop over arrays judges the units and computes the chain, without any statement of its own. Its plans are fixed
-- to look-ups by index: one made while the table was small would read all of it once it is not.
CREATE OR REPLACE FUNCTION orderflow.append_events(
    p_store text, p_unit int[], p_order text[], p_expected bigint[], p_event uuid[], p_type text[], p_source text[],
    p_source_id text[], p_occurred timestamptz[], p_clear text[], p_body bytea[], p_body_key uuid[],
    p_body_mac bytea[], p_meta text[], p_leaf bytea[]
) RETURNS TABLE (unit int, outcome text, at_position bigint, at_version bigint, known_order text, known_clear text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = orderflow, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    n int := coalesce(array_length(p_unit, 1), 0);
    i int := 1;
    j int;
    -- Copies: an element of a variable is found at once, one of a parameter by counting from the first.
    a_unit int[] := p_unit;
    a_expected bigint[] := p_expected;
    a_leaf bytea[] := p_leaf;
    -- One element an event: the first event of the call with the same order, or the same identity ...
    a_order int[];
    a_same int[];
    -- ... where its identity stands already, or (at the first event of that identity) where this call has put it, and
    -- the version of its order (at the first event of that order) ...
    a_known bigint[];
    a_written bigint[];
    a_standing bigint[];
    -- ... and the place and hash that it gets, NULL for one that is not written.
    a_position bigint[];
    a_version bigint[];
    a_hash bytea[];
    -- One element a unit: what comes back.
    r_unit int[];
    r_outcome text[];
    r_position bigint[];
    r_version bigint[];
    r_known bigint[];
    r int := 0;
    v_epoch int;
    v_position bigint;
    v_version bigint;
    v_recorded timestamptz;
    v_micros bytea;
    v_hash bytea;
    v_known bigint;
    v_written bigint;
    v_known_any boolean := false;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append_events needs READ COMMITTED' USING ERRCODE = 'OF002';
    END IF;
    IF n = 1 THEN
        a_order := ARRAY[1];
        a_same := ARRAY[1];
    ELSE
        SELECT array_agg(s.same_order ORDER BY s.k), array_agg(s.same_id ORDER BY s.k) INTO a_order, a_same
            FROM (SELECT t.k,
                         min(t.k) OVER (PARTITION BY t.order_id COLLATE "C")::int AS same_order,
                         min(t.k) OVER (PARTITION BY t.source COLLATE "C", t.source_id COLLATE "C")::int AS same_id
                  FROM unnest(p_order, p_source, p_source_id) WITH ORDINALITY AS t (order_id, source, source_id, k)) s;
    END IF;
    a_position := array_fill(NULL::bigint, ARRAY[n]);
    a_version := a_position;
    a_written := a_position;
    a_hash := array_fill(NULL::bytea, ARRAY[n]);

    PERFORM pg_advisory_xact_lock(hashtextextended('orderflow.log ' || p_store, 0));

    SELECT e.position, e.recorded_at, e.hash INTO v_position, v_recorded, v_hash
        FROM events e WHERE e.store = p_store ORDER BY e.position DESC LIMIT 1;
    SELECT p.epoch INTO v_epoch FROM epochs p WHERE p.store = p_store ORDER BY p.epoch DESC LIMIT 1;
    IF v_epoch IS NULL THEN
        v_epoch := 1;
        INSERT INTO epochs (store, epoch, first_position) VALUES (p_store, 1, 1);
    END IF;
    v_position := coalesce(v_position, 0);
    v_written := v_position;
    v_hash := coalesce(v_hash, sha256(convert_to('orderflow ' || p_store, 'UTF8')));
    v_recorded := greatest(v_recorded, wall_clock());
    v_micros := int8send((extract(epoch FROM v_recorded) * 1000000)::bigint);
    SELECT array_agg(e.position ORDER BY t.k), array_agg(coalesce(s.version, 0) ORDER BY t.k)
        INTO a_known, a_standing
        FROM unnest(p_order, p_source, p_source_id, a_order) WITH ORDINALITY AS t (order_id, source, source_id, first, k)
        LEFT JOIN LATERAL (
            SELECT e.position FROM events e
            WHERE e.store = p_store AND e.source = t.source AND e.source_id = t.source_id LIMIT 1) e ON true
        LEFT JOIN LATERAL (
            SELECT s.version FROM streams s WHERE t.k = t.first AND s.store = p_store AND s.order_id = t.order_id
            LIMIT 1) s ON true;

    WHILE i <= n LOOP
        j := i;
        v_known := coalesce(a_known[i], a_written[a_same[i]]);
        WHILE j < n AND a_unit[j + 1] = a_unit[i] LOOP
            j := j + 1;
            v_known := coalesce(v_known, a_known[j], a_written[a_same[j]]);
        END LOOP;
        r := r + 1;
        r_unit[r] := a_unit[i];
        r_known[r] := v_known;
        r_position[r] := NULL;  -- whatever comes of it: an array that is first written at 2 would begin there
        r_version[r] := NULL;
        v_version := a_standing[a_order[i]];
        IF v_known IS NOT NULL THEN
            r_outcome[r] := 'duplicate';
            v_known_any := true;
        ELSIF a_expected[i] <> v_version THEN
            r_outcome[r] := 'conflict';
            r_version[r] := v_version;
        ELSE
            r_outcome[r] := 'appended';
            r_position[r] := v_position + 1;
            FOR k IN i..j LOOP
                IF a_order[k] <> a_order[i] THEN
                    RAISE EXCEPTION 'unit % names more than one order', a_unit[i] USING ERRCODE = 'OF003';
                END IF;
                v_position := v_position + 1;
                v_version := v_version + 1;
                v_hash := sha256(v_hash || int4send(v_epoch) || int8send(v_position) || int8send(v_version)
                    || v_micros || a_leaf[k]);
                a_position[k] := v_position;
                a_written[a_same[k]] := v_position;
                a_version[k] := v_version;
                a_hash[k] := v_hash;
            END LOOP;
            r_version[r] := v_version;
            a_standing[a_order[i]] := v_version;
        END IF;
        i := j + 1;
    END LOOP;

    IF v_position > v_written THEN
        INSERT INTO events (store, position, order_id, version, event_id, type, source, source_id, occurred_at,
                            recorded_at, clear, body, body_key, body_mac, meta, leaf, hash)
            SELECT p_store, t.position, t.order_id, t.version, t.event_id, t.type, t.source, t.source_id, t.occurred_at,
                   v_recorded, t.clear, t.body, t.body_key, t.body_mac, t.meta, t.leaf, t.hash
            FROM unnest(a_position, p_order, a_version, p_event, p_type, p_source, p_source_id, p_occurred, p_clear,
                        p_body, p_body_key, p_body_mac, p_meta, p_leaf, a_hash)
                AS t (position, order_id, version, event_id, type, source, source_id, occurred_at, clear,
                      body, body_key, body_mac, meta, leaf, hash)
            WHERE t.position IS NOT NULL;
        INSERT INTO streams AS s (store, order_id, version)
            SELECT p_store, t.order_id, max(t.version)
            FROM unnest(p_order, a_version) AS t (order_id, version)
            WHERE t.version IS NOT NULL GROUP BY t.order_id
            ON CONFLICT (store, order_id) DO UPDATE SET version = excluded.version;
    END IF;

    IF NOT v_known_any THEN
        RETURN QUERY SELECT t.*, NULL::text, NULL::text
            FROM unnest(r_unit, r_outcome, r_position, r_version) AS t;
    ELSE
        RETURN QUERY SELECT t.unit, t.outcome, coalesce(t.position, e.position), coalesce(t.version, e.version),
                            e.order_id, e.clear
            FROM unnest(r_unit, r_outcome, r_position, r_version, r_known) WITH ORDINALITY
                AS t (unit, outcome, position, version, known, k)
            LEFT JOIN events e ON e.store = p_store AND e.position = t.known
            ORDER BY t.k;
    END IF;
END
$$;
