"""Sealing goes on from the last frontier, hands every seal out, and says who did not take it."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import sqlalchemy as sa
from tests.store.writing import append, rows, unit

from orderflow.audit import sealer, seals, whole
from orderflow.audit.exporters import Address, Command, ExportError, Folder, files
from orderflow.audit.note import opened
from orderflow.audit.sealer import newest_outside, seal
from orderflow.audit.seals import Agrees, Behind, Forked, Lost, Signer
from orderflow.audit.whole import Standing
from orderflow.glopal.client import Endpoint
from orderflow.store import log
from orderflow.store.log import LogDamagedError

from .sealed import OTHER, SIGNER, checked, sealed, sealing, tamper, written


def test_each_seal_goes_on_from_the_last(app, store, monkeypatch):
    """Only new hashes are read; the root is that of the whole log all the same."""
    read = []
    hashes = seals.hashes

    def counted(conn, store, after, upto):
        read.append((after, upto))
        return hashes(conn, store, after, upto)

    monkeypatch.setattr(seals, "hashes", counted)
    for count, upto in ((3, 3), (2000, 2003), (1, 2004), (1100, 3104)):
        written(app, store, count)
        assert sealed(app, store).signed.seal.size == upto
    assert read == [(0, 3), (3, 2003), (2003, 2004), (2004, 3104)]
    report = checked(app, store)
    assert (report.standing, report.agreeing, report.sealed) == (Standing.WHOLE, 4, 3104)
    assert [row.number for row in rows(app, "SELECT number FROM orderflow.seal_nodes WHERE store = :s", s=store)] == [
        0,
        1,
        2,
    ]


def test_a_long_log_is_read_in_parts(app, store, monkeypatch):
    monkeypatch.setattr(seals, "_AT_ONCE", 1500)
    written(app, store, 4000)
    assert sealed(app, store).signed.seal.size == 4000
    assert checked(app, store).standing is Standing.WHOLE


def test_nothing_new_is_not_sealed_again(app, store):
    assert sealed(app, store).signed is None
    written(app, store)
    first = sealed(app, store).signed
    assert sealed(app, store).signed == first
    assert opened(first.raw, SIGNER.trusted) == first.seal


def test_one_process_seals_a_store_at_a_time(app, store):
    written(app, store)
    with app.begin() as conn:
        assert seals.seal(conn, store, SIGNER)
        written(app, store)
        assert sealed(app, store).signed is None
    assert sealed(app, store).signed.seal.size == 2


def test_a_hole_is_not_sealed(app, owner, store):
    written(app, store, 5)
    sealed(app, store)
    written(app, store, 5)
    tamper(owner, store, "DELETE FROM orderflow.events WHERE store = :s AND position = 7")
    with pytest.raises(LogDamagedError, match="position 7"):
        sealed(app, store)


def test_a_touched_frontier_is_not_gone_on_from(app, owner, store):
    """The next seal reads all anew, and is right; `verify` tells of the old one."""
    written(app, store, 5)
    sealed(app, store)
    tamper(owner, store, "UPDATE orderflow.seals SET frontier = sha256('x') || sha256('y') WHERE store = :s")
    written(app, store, 1)
    assert sealed(app, store).signed.seal.size == 6
    report = checked(app, store)
    assert [one.standing for one in report.problems] == [Standing.DAMAGED]
    assert (report.agreeing, report.sealed) == (2, 6)


def test_another_key_goes_on_with_the_log(app, store, tmp_path):
    """The former public key still counts; without it, its seals are doubtful, and the tree is read anew."""
    written(app, store, 5)
    sealed(app, store, tmp_path)
    written(app, store, 5)
    changed = Signer(OTHER.key, (SIGNER.public,))
    assert seal(app, sealing(tmp_path, signer=changed), store).signed.seal.size == 10
    assert checked(app, store, tmp_path, signer=changed).standing is Standing.WHOLE
    assert checked(app, store, tmp_path, signer=OTHER).standing is Standing.DOUBTFUL
    assert opened(seal(app, sealing(None, signer=OTHER), store).signed.raw, OTHER.trusted).size == 10
    written(app, store, 5)
    assert seal(app, sealing(None, signer=OTHER), store).signed.seal.size == 15


def test_old_seals_of_its_own_are_trimmed(app, store, monkeypatch):
    monkeypatch.setattr(seals, "_KEPT", 3)
    for _ in range(6):
        written(app, store)
        sealed(app, store)
    assert [row.size for row in rows(app, "SELECT size FROM orderflow.seals WHERE store = :s ORDER BY 1", s=store)] == [
        4,
        5,
        6,
    ]


def test_what_a_seal_says_against_the_log(app, owner, store):
    """The quick comparison, for those who cannot wait for a verification."""
    written(app, store, 4)
    first = sealed(app, store).signed.seal
    written(app, store, 4)
    second = sealed(app, store).signed.seal

    def standing(seal):
        with app.connect() as conn:
            return seals.compare(conn, store, seal)

    assert (standing(first), standing(second)) == (Agrees(), Agrees())
    tamper(owner, store, "DELETE FROM orderflow.events WHERE store = :s AND position > 6")
    assert (standing(first), standing(second)) == (Agrees(), Behind(6))
    append(app, store, unit(), unit())
    assert (standing(first), standing(second)) == (Agrees(), Forked())
    tamper(
        owner,
        store,
        "INSERT INTO orderflow.epochs (store, epoch, first_position, forked_from_hash) "
        "SELECT store, 2, 7, hash FROM orderflow.events WHERE store = :s AND position = 6",
    )
    assert (standing(first), standing(second)) == (Agrees(), Lost(2, 7))


# --- exporters ------------------------------------------------------------------------------------------------------


def test_a_folder_keeps_one_file_a_seal(app, store, tmp_path):
    for _ in range(3):
        written(app, store)
        sealed(app, store, tmp_path)
    found = list(files(tmp_path, store))
    assert [opened(one.read_bytes(), SIGNER.trusted).size for one in found] == [3, 2, 1]
    assert list(files(tmp_path)) == found
    assert newest_outside(sealing(tmp_path), store).size == 3
    assert [one.name for one in tmp_path.rglob(".*")] == []
    found[0].write_bytes(b"something else")
    assert newest_outside(sealing(tmp_path), store).size == 2
    with pytest.raises(ExportError, match="holds another seal"):
        Folder(tmp_path).take(sealed(app, store).signed)
    assert newest_outside(sealing(tmp_path / "none"), store) is None


def test_a_file_of_seals_that_is_missing_is_no_news(app, store, tmp_path):
    """A seal that was taken is not handed over again; one that was not, is."""
    written(app, store)
    sealed(app, store, tmp_path)
    [file] = files(tmp_path, store)
    file.unlink()
    assert sealed(app, store, tmp_path).exports == {"folder": ""}
    assert list(files(tmp_path, store)) == []


def test_a_command_gets_the_seal(app, store, tmp_path):
    program = (
        "import os, sys; name = os.environ['ORDERFLOW_SEAL_NAME'].encode(); "
        "open(sys.argv[1], 'wb').write(sys.stdin.buffer.read() + name)"
    )
    command = Command((sys.executable, "-c", program, str(tmp_path / "got")))
    written(app, store)
    outcome = seal(app, sealing(None, command), store)
    assert outcome.exports == {"command": ""}
    assert (tmp_path / "got").read_bytes().startswith(outcome.signed.raw + outcome.signed.seal.origin.encode())


def test_who_does_not_take_it_is_asked_again(app, store, tmp_path):
    """A failed export is told, kept, and made up for; others go on meanwhile."""
    fails = Command((sys.executable, "-c", f"import os, sys; sys.exit(not os.path.exists({str(tmp_path / 'ok')!r}))"))
    missing = Command(("/no/such/program",))
    written(app, store)
    outcome = seal(app, sealing(tmp_path / "seals", fails), store)
    assert outcome.exports == {"folder": "", "command": f"{sys.executable} ended with 1"}
    assert outcome.exported
    outcome = seal(app, sealing(None, missing), store)
    assert outcome.exports == {"command": "/no/such/program cannot be run (No such file or directory)"}
    assert not outcome.exported

    def told():
        with app.connect() as conn:
            return {one.exporter: (one.size, one.problem) for one in sealer.exports(conn, store)}

    assert told() == {"folder": (1, ""), "command": (0, "/no/such/program cannot be run (No such file or directory)")}
    (tmp_path / "ok").touch()
    assert seal(app, sealing(tmp_path / "seals", fails), store).exports == {"folder": "", "command": ""}
    assert told() == {"folder": (1, ""), "command": (1, "")}
    (tmp_path / "ok").unlink()
    written(app, store)
    seal(app, sealing(tmp_path / "seals", fails), store)
    assert told() == {"folder": (2, ""), "command": (1, f"{sys.executable} ended with 1")}


def test_a_folder_that_cannot_be_written_is_told(app, store, tmp_path):
    (tmp_path / "file").touch()
    written(app, store)
    [problem] = sealed(app, store, tmp_path / "file").exports.values()
    assert "cannot be written" in problem


class Keeper(BaseHTTPRequestHandler):
    """An HTTP server that keeps what it is given."""

    kept: dict[str, tuple[bytes, str]] = {}  # noqa: RUF012  one server a test
    status = 201

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.kept[self.path] = (body, self.headers["authorization"])
        self.send_response(self.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def keeper():
    Keeper.kept, Keeper.status = {}, 201
    server = HTTPServer(("127.0.0.1", 0), Keeper)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_address_gets_the_seal(app, store, keeper):
    """PUT over real HTTP, with the key; any 2xx means that it was taken."""
    endpoint = Endpoint(f"http://127.0.0.1:{keeper.server_port}/seals", "secret")
    address = Address(endpoint)
    written(app, store)
    outcome = seal(app, sealing(None, address), store)
    assert outcome.exports == {"url": ""}
    [(path, (body, authorization))] = Keeper.kept.items()
    assert path.startswith(f"/seals/{outcome.signed.seal.origin}/e0001-000000000000001-")
    assert (body, authorization) == (outcome.signed.raw, "Bearer secret")
    Keeper.status = 503
    written(app, store)
    assert seal(app, sealing(None, address), store).exports == {"url": "the answer was 503"}
    endpoint.close()
    keeper.shutdown()
    keeper.server_close()
    [problem] = seal(app, sealing(None, Address(Endpoint("http://127.0.0.1:9", "secret"))), store).exports.values()
    assert problem.startswith("no connection")


# --- the loop -------------------------------------------------------------------------------------------------------


def test_a_turn_seals_every_store_and_no_refusal_stops_it(app, owner, store, tmp_path, caplog):
    one, other = f"{store}-1", f"{store}-2"
    for name in (one, other):
        written(app, name, 3)
    wait = sealer.turn(app, sealing(tmp_path), [one, other])
    assert 0 < wait <= 60
    tamper(owner, one, "DELETE FROM orderflow.events WHERE store = :s AND position = 3")
    written(app, other)
    sealer.turn(app, sealing(tmp_path), [one, other])
    assert [newest_outside(sealing(tmp_path), name).size for name in (one, other)] == [3, 4]
    assert "is behind: it ends at position 2" in caplog.text


def test_what_is_sealed_while_verify_runs_is_not_ahead_of_it(app, store, monkeypatch):
    """Seals are gathered before the log is read."""
    written(app, store, 5)
    sealed(app, store)
    with app.connect() as conn:
        given = whole.gathered(conn, store, SIGNER.trusted, None)
        written(app, store, 5)
        sealed(app, store)
        report = whole.check(conn, store, given)
    assert (report.standing, report.events, report.agreeing) == (Standing.WHOLE, 10, 1)


def test_files_that_are_no_seals_are_named(app, store, tmp_path):
    written(app, store)
    sealed(app, store, tmp_path / "seals")
    [file] = files(tmp_path / "seals", store)
    (file.parent / "e0001-x.seal").write_text("rubbish")
    report = checked(app, store, tmp_path / "seals")
    assert (report.standing, report.agreeing) == (Standing.DOUBTFUL, 2)
    assert "does not count: its text is not that of a seal" in report.problems[0].text
    assert checked(app, store, None, [tmp_path / "missing"]).standing is Standing.DOUBTFUL


def test_stores_do_not_mix(app, store, tmp_path):
    """All stores in one folder: each log is held against its own seals."""
    for name in (store, f"{store} 2"):
        written(app, name, 2)
        sealed(app, name, tmp_path)
    for name in (store, f"{store} 2"):
        report = checked(app, name, None, [tmp_path])
        assert (report.standing, report.agreeing) == (Standing.WHOLE, 2)
    with app.connect() as conn:
        assert log.head(conn, store) == 2
        assert conn.scalar(sa.text("SELECT count(*) FROM orderflow.seal_exports WHERE store = :s"), {"s": store}) == 1
