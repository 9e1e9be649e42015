"""The master key changes while everything goes on: nothing becomes unreadable, and no digest changes."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest
import sqlalchemy as sa
from tests.relay.stage import DAY, Stage

from orderflow import orders
from orderflow.domain.decisions import Note
from orderflow.store.vault import (
    Vault,
    VaultError,
    destroy,
    in_database,
    key,
    keys_of,
    mac,
    open_vault,
    rotation,
    seal,
    stored_at,
    unseal,
)

from .conftest import MASTER, OTHER, NewStage

EVENT = uuid4()


@pytest.fixture(autouse=True)
def empty(app: sa.Engine, vault: Vault) -> Iterator[None]:
    """No key of another test, and no MAC key: a vault serves all stores."""
    yield
    engine = stored_at(vault, app)
    owner = sa.create_engine(engine.url, poolclass=sa.NullPool)
    with owner.begin() as conn:
        conn.exec_driver_sql("TRUNCATE orderflow_vault.keys, orderflow_vault.mac_key")


def kept(vault: Vault, app: sa.Engine, first: bytes, second: bytes | None = None) -> Vault:
    """A vault in the same place with other master keys, and the MAC key of its database."""
    return in_database(open_vault(first, second, engine=vault.engine), app)


def counts(vault: Vault, app: sa.Engine) -> dict[str | None, int]:
    with stored_at(vault, app).connect() as conn:
        return {one.master: one.keys for one in rotation.wrapped_by(conn)}


def rotated(vault: Vault, app: sa.Engine) -> int:
    return max(rotation.rewrap(stored_at(vault, app), vault), default=0)


def test_the_new_key_alone_opens_everything_afterwards(app, store, vault):
    """And the old one nothing any more; MACs stay what they were."""
    old = kept(vault, app, MASTER)
    with app.begin() as conn:
        secrets = keys_of(conn, old, store, [f"o{n}" for n in range(1234)])
        sealed = seal(old, secrets["o7"], b"plain", EVENT, "body")
    assert counts(old, app) == {old.current.master_id: 1234}
    both, new = kept(vault, app, OTHER, MASTER), kept(vault, app, OTHER)
    assert rotated(both, app) == 1234
    assert counts(new, app) == {new.current.master_id: 1234}
    assert rotated(both, app) == 0
    with app.begin() as conn:
        assert keys_of(conn, new, store, list(secrets)) == secrets
        found = key(conn, new, store, "o7", sealed.key)
        assert unseal(found, sealed.data, EVENT, "body") == b"plain"
        with pytest.raises(VaultError, match="does not open with this master key"):
            key(conn, kept(vault, app, MASTER), store, "o7", sealed.key)
    assert mac(new, store, b"plain") == sealed.mac
    with pytest.raises(VaultError, match=f"wrapped by master key {new.current.master_id}, which is not in use"):
        mac(kept(vault, app, MASTER), store, b"plain")


def test_it_goes_on_where_it_was_interrupted(app, store, vault):
    """Every batch stands by itself."""
    old, both = kept(vault, app, MASTER), kept(vault, app, OTHER, MASTER)
    with app.begin() as conn:
        keys_of(conn, old, store, [f"o{n}" for n in range(1100)])
    first = next(rotation.rewrap(stored_at(both, app), both))
    assert counts(both, app) == {old.current.master_id: 1100 - first, both.current.master_id: first}
    assert rotated(both, app) == 1100 - first


def test_workers_go_on_meanwhile(app, store, vault):
    """Some know the new key as their second one, some the old one; all make keys and read them, and none fails."""
    old = kept(vault, app, MASTER)
    with app.begin() as conn:
        keys_of(conn, old, store, [f"o{n}" for n in range(3000)])
        before = mac(old, store, b"x")
    both, stop, reads = kept(vault, app, OTHER, MASTER), threading.Event(), []

    def worker(number: int) -> None:
        mine = kept(vault, app, *((MASTER, OTHER) if number % 2 else (OTHER, MASTER)))
        turn = 0
        while not stop.is_set() or turn < 5:
            turn += 1
            names = [f"o{turn * 37 % 3000}", f"new-{number}-{turn}"]
            with app.begin() as conn:
                for secret in keys_of(conn, mine, store, names).values():
                    sealed = seal(mine, secret, b"x", EVENT, "body")
                    assert sealed.mac == before
                    assert unseal(key(conn, mine, store, secret.order_id, secret.key_id), sealed.data, EVENT, "body")
            reads.append(names[0])

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(worker, number) for number in range(4)]
        try:
            assert rotated(both, app) >= 3000
        finally:
            stop.set()
        for one in running:
            one.result()
    assert len(reads) >= 20
    rotated(both, app)  # what a worker of the first step wrapped with the old key after its place was passed
    assert set(counts(both, app)) == {both.current.master_id}


def test_a_key_that_is_destroyed_meanwhile_stays_destroyed(app, store, vault):
    """The rotation has read it, an erasure destroys it, and only then is it written."""
    old, both = kept(vault, app, MASTER), kept(vault, app, OTHER, MASTER)
    engine = stored_at(both, app)
    with app.begin() as conn:
        secret = keys_of(conn, old, store, ["a"])["a"]
    with engine.connect() as conn:
        [row] = conn.execute(rotation._LEFT, {"master": both.current.master_id, "store": "", "order_id": "",
                                              "key_id": rotation._LEAST, "limit": 9}).all()  # fmt: skip
    anew = rotation._anew(both, row)
    with app.begin() as conn:
        assert destroy(conn, both, store, [secret.key_id]) == 1
    with engine.begin() as conn:
        assert conn.execute(rotation._REWRAP, anew).rowcount == 0
    with app.begin() as conn, pytest.raises(VaultError, match="destroyed"):
        key(conn, both, store, "a", secret.key_id)


def test_keys_of_before_there_were_ids(app, store, vault):
    """A vault of the first release has neither ids nor a kept MAC key: its master key is found by what it opens."""
    old = open_vault(MASTER, engine=vault.engine)
    with app.begin() as conn:
        secret = keys_of(conn, old, store, ["a"])["a"]
    engine = stored_at(old, app)
    with engine.begin() as conn:
        conn.exec_driver_sql("UPDATE orderflow_vault.keys SET master = NULL")
    digest = mac(old, store, b"x")
    both = kept(vault, app, OTHER, MASTER)
    assert mac(both, store, b"x") == digest
    assert rotated(both, app) == 1
    new = kept(vault, app, OTHER)
    assert mac(new, store, b"x") == digest
    with app.begin() as conn:
        assert key(conn, new, store, "a", secret.key_id) == secret


def test_a_stranger_founds_nothing(app, store, vault):
    """With a key that opens nothing, no MAC key is made: it would be another one."""
    with app.begin() as conn:
        keys_of(conn, open_vault(MASTER, engine=vault.engine), store, ["a"])
    with pytest.raises(VaultError, match="put the former one back"):
        mac(kept(vault, app, OTHER), store, b"x")
    with stored_at(vault, app).connect() as conn:
        assert rotation.mac_key_wrapped_by(conn) is None


def test_an_unknown_master_key_stops_it(app, store, vault):
    """What was done stays done, and the key is named."""
    with app.begin() as conn:
        keys_of(conn, kept(vault, app, MASTER), store, ["a"])
        mac(kept(vault, app, MASTER), store, b"x")
    with pytest.raises(VaultError, match="not in use"):
        rotated(kept(vault, app, OTHER, b"z" * 32), app)


def test_details_are_the_same_as_before(stage: NewStage, app: sa.Engine) -> None:
    """Fetched again under another master key, nothing differs: no parked effect wakes up, nothing is planned anew."""
    it: Stage = stage()
    it.vault = kept(it.vault, app, MASTER)
    it.relay = it.worker("a")
    order_id = it.drafted()
    basis = it.order(order_id).details.basis
    both = kept(it.vault, app, OTHER, MASTER)
    rotated(both, app)
    it.vault = kept(it.vault, app, OTHER)
    it.relay = replace(it.worker("b"), vault=it.vault)
    it.ready(order_id)
    it.live(DAY.total_seconds())
    assert [entry.state for entry in it.made(order_id)] == ["order"]
    assert it.order(order_id).details.basis == basis
    assert it.exceptions(order_id) == {}
    orders.handle(app, it.vault, it.store, order_id, Note("ann"), "n1", body=b"sealed by the new one")
