"""History from a file is recorded as the feed would have been: once, in order, with what is odd kept."""

import io
import json
from itertools import islice

import pytest

from orderflow import history, intake
from orderflow.glopal.codec import read_page
from orderflow.history import NoHistoryError, Progress
from orderflow.store import imports, log
from orderflow.store.vault import destroy, exclusively, key, open_vault, unseal
from orderflow.store.verify import verify

VAULT = open_vault(b"k" * 32)


def line(number: int, **more) -> bytes:
    event = {"event_id": f"e{number}", "event_name": "order.received", "order_id": f"o{number // 3}"}
    return json.dumps(event | {"event_at": "2020-01-01T12:00:00.000Z", "external": {"order_id": None}} | more).encode()


def file(*lines: bytes) -> io.BytesIO:
    return io.BytesIO(b"".join(one + b"\n" for one in lines))


def record(app, store: str, source) -> Progress:
    *_, last = history.record(app, VAULT, store, source)
    return last


def standing(app, store: str) -> list[tuple]:
    with app.begin() as conn:
        list(verify(conn, store))
        return [
            (r.order_id, r.version, r.type, r.source, r.source_id, r.clear) for r in log.read(conn, store, 0, 10_000)
        ]


@pytest.fixture(autouse=True)
def small(monkeypatch) -> None:
    """Batches of ten lines."""
    monkeypatch.setattr(history, "_LINES", 10)


class Stream(io.BytesIO):
    """What comes from a pipe."""

    def seekable(self) -> bool:
        return False


def test_as_if_it_had_been_pulled(app, store):
    """The same events on a page of the feed and in a file make the same log, body for body."""
    lines = [line(n) for n in range(25)]
    assert record(app, store, file(*lines)) == Progress(sum(map(len, lines)) + 25, 25, new=25)
    page = read_page(b'{"events": [' + b", ".join(lines) + b"]}")
    with app.begin() as conn:
        intake.record(conn, VAULT, f"{store}-pulled", page.elements)
    assert standing(app, store) == standing(app, f"{store}-pulled")
    with app.begin() as conn:
        event_id, sealed = log.body(conn, store, 8)
        assert unseal(key(conn, VAULT, store, "o2", sealed.key), sealed.data, event_id, "body") == lines[7]


def test_what_the_feed_brought_before_is_known(app, store):
    """An overlap with what was pulled, or with another file, collapses by source id."""
    with app.begin() as conn:
        page = read_page(b'{"events": [' + line(3) + b"]}")
        intake.record(conn, VAULT, store, page.elements)
    done = record(app, store, file(*(line(n) for n in range(12))))
    assert (done.new, done.known) == (11, 1)
    assert len(standing(app, store)) == 12


def test_the_same_file_again_is_not_read_as_new(app, store):
    """All of it is skipped; a longer file that begins like it is gone on with."""
    lines = [line(n) for n in range(25)]
    record(app, store, file(*lines))
    again = record(app, store, file(*lines))
    assert (again.lines, again.skipped, again.new, again.known) == (25, 25, 0, 0)
    longer = record(app, store, file(*lines, line(25)))
    assert (longer.lines, longer.skipped, longer.new, longer.known) == (26, 25, 1, 0)


def test_an_interrupted_import_goes_on(app, store):
    """What was committed before the interruption stands, with its place; the rest comes with the next run."""
    lines = [line(n) for n in range(45)]
    begun = history.record(app, VAULT, store, file(*lines))
    assert [one.new for one in islice(begun, 3)] == [0, 10, 20]
    begun.close()
    assert len(standing(app, store)) == 20
    rest = record(app, store, file(*lines))
    assert (rest.skipped, rest.new, rest.known) == (20, 25, 0)
    assert [source_id for *_, source_id, _ in standing(app, store)] == [f"e{n}" for n in range(45)]


def test_a_failure_between_events_and_place_leaves_neither(app, store, monkeypatch):
    """A batch and the place behind it are one transaction."""

    def fail(*given):
        real(*given)
        raise KeyboardInterrupt

    real = intake.recorded
    monkeypatch.setattr(intake, "recorded", fail)
    source = file(*(line(n) for n in range(5)))
    with pytest.raises(KeyboardInterrupt):
        record(app, store, source)
    assert standing(app, store) == []
    monkeypatch.undo()
    source.seek(0)
    assert record(app, store, source).new == 5


def test_another_file_that_begins_alike_is_read_from_its_beginning(app, store):
    """The place counts only for the very bytes that were read: duplicates collapse, and nothing new is skipped."""
    record(app, store, file(*(line(n) for n in range(25))))
    changed = [line(n) for n in (0, *range(30, 55))]
    done = record(app, store, file(*changed))
    assert (done.skipped, done.new, done.known) == (0, 25, 1)


def test_the_place_is_trimmed(app, store):
    """One row a file stays, however many batches it had."""
    record(app, store, file(*(line(n) for n in range(45))))
    with app.connect() as conn:
        found = conn.exec_driver_sql("SELECT count(*) FROM orderflow.imports WHERE store = %s", (store,)).scalar_one()
    assert found == 1


def test_from_a_pipe_everything_is_read_again(app, store):
    """What cannot be rewound begins anew, and collapses."""
    source = b"".join(line(n) + b"\n" for n in range(25))
    assert record(app, store, Stream(source)).new == 25
    assert (again := record(app, store, Stream(source))).known == 25
    assert (again.skipped, again.new) == (0, 0)


def test_a_bad_line_is_kept(app, store):
    """No JSON, a wrong member, half a character: kept as Malformed with its bytes, and the good ones go in."""
    lines = [line(1), b"{not json", line(2), b'{"event_id": "x", "order_id": "o9"}', b"\xff\xfe", line(4)]
    done = record(app, store, file(*lines))
    assert (done.lines, done.new, done.bad) == (6, 6, 3)
    kinds = [(order_id, kind) for order_id, _, kind, *_ in standing(app, store)]
    assert kinds.count(("~intake", "Malformed")) == 2
    assert ("o9", "Malformed") in kinds
    again = record(app, store, Stream(b"\n".join(lines)))
    assert (again.new, again.known, again.bad) == (0, 6, 3)


def test_a_line_that_says_something_else_is_evidence(app, store):
    """The same event id with another name: both stand there, as when the feed does it."""
    record(app, store, file(line(1)))
    done = record(app, store, file(line(2), line(1, event_name="order.ready")))
    assert (done.new, done.known, done.evidence) == (1, 1, 1)
    assert [kind for _, _, kind, *_ in standing(app, store)] == ["OrderReceived", "OrderReceived", "EvidenceFound"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b"  \n"], ids=["lf", "crlf", "empty", "blanks"])
def test_ends_of_lines(app, store, end):
    """Empty lines and carriage returns are no part of an event."""
    done = record(app, store, io.BytesIO(end.join([line(1), line(2), line(4)]) + end))
    assert (done.new, done.bad) == (3, 0)
    with app.begin() as conn:
        event_id, sealed = log.body(conn, store, 1)
        assert unseal(key(conn, VAULT, store, "o0", sealed.key), sealed.data, event_id, "body") == line(1)


def test_half_a_line_at_the_end(app, store):
    """A file that is still being written: the last line is read again once it is whole."""
    whole = b"".join(line(n) + b"\n" for n in range(3))
    half = line(3)[:40]
    assert record(app, store, io.BytesIO(whole + half)).bad == 1
    done = record(app, store, io.BytesIO(whole + line(3) + b"\n" + line(4)))
    assert (done.skipped, done.new, done.bad) == (3, 2, 0)
    done = record(app, store, io.BytesIO(whole + line(3) + b"\n" + line(4)))
    assert (done.skipped, done.new, done.known) == (4, 0, 1)


def test_an_empty_file(app, store):
    """Nothing is in it, nothing comes of it."""
    assert record(app, store, file()) == Progress()
    assert record(app, store, io.BytesIO(b"\n\n")).new == 0
    assert standing(app, store) == []


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        (b'{"events": [' + line(1) + b"]}\n", "line 1 is a whole page"),
        (b"order,status\n1,ready\n", "line 1 is no event, nor is any of the 2 lines"),
        (b"\x00" * 100, "line 1 is no event"),
    ],
)
def test_a_wrong_file_leaves_no_trace(app, store, contents, told):
    """What is once in the log stays: a file without a single event among its first lines is refused."""
    with pytest.raises(NoHistoryError, match=told):
        record(app, store, io.BytesIO(contents))
    assert standing(app, store) == []
    with app.begin() as conn:
        assert imports.offset(conn, store, "") is None


def test_an_endless_line(app, store, monkeypatch):
    """It is refused before it fills the memory, wherever it comes; what stands before it is recorded."""
    monkeypatch.setattr(history, "_LONGEST", 1000)
    with pytest.raises(NoHistoryError, match="line 1 has 1000 bytes"):
        record(app, store, io.BytesIO(b"x" * 5000))
    with pytest.raises(NoHistoryError, match="line 12 has 1000 bytes"):
        record(app, store, file(*(line(n) for n in range(11)), b"x" * 5000))
    assert len(standing(app, store)) == 10


def test_the_pull_cursor_stays(app, store):
    """An import says nothing of how far the feed was read."""
    record(app, store, file(line(1)))
    with app.begin() as conn:
        assert intake.progress.cursor_of(conn, store) == (0, None)


def test_a_key_that_was_erased_between_sealing_and_writing_seals_nothing(app, store, monkeypatch):
    """The next batch is sealed while the last one is written; an erasure may come in between."""
    written = history._write

    def write(vault, batch, conn):
        with app.begin() as other:
            exclusively(other, store)
            destroy(other, vault, store, [one.key_id for one in batch.facts.keys.values()])
        return written(vault, batch, conn)

    monkeypatch.setattr(history, "_write", write)
    record(app, store, file(*(line(n) for n in range(9))))
    with app.begin() as conn:
        for position in range(1, 10):
            event_id, sealed = log.body(conn, store, position)
            order_id = f"o{(position - 1) // 3}"
            opened = unseal(key(conn, VAULT, store, order_id, sealed.key), sealed.data, event_id, "body")
            assert opened == line(position - 1)
