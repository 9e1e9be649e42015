-- Trigger function of everything that is append-only.
CREATE FUNCTION orderflow.refuse_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'OF001';
END
$$;
