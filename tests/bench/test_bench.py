"""The benchmark runs: every case at a tiny size, and what is written from its results. No figure is ever asserted."""

import json
import sys
from dataclasses import asdict, replace
from importlib.util import find_spec

import psycopg
import pytest
from bench.capacity import capacity
from bench.case import OURS, Contestant, Goal
from bench.cases import CASES, find
from bench.fill import fill
from bench.ground import TINY, Ground, Scale, plain
from bench.measure import Sample, produce, together
from bench.texts import STEPS, bodies, history, life

from bench import models, ours, pages, plots, results, runner, server, tables
from orderflow.domain.machine import Status
from orderflow.orders import load
from orderflow.projections import beside
from orderflow.projections.orders import Orders
from orderflow.projections.timeline import Timeline
from orderflow.store import progress
from orderflow.store.applied import flaws
from orderflow.store.connect import connect

SLOW = {"river": 2, "append": 3, "page": 3}
"""Cases of which so many contestants are enough here."""


def smoke(case, url, **kwargs):
    few = case.contestants[: SLOW.get(case.name.partition("-")[0])]
    return runner.run(replace(case, contestants=few), url, TINY, 1, lambda _line: None, **kwargs)


@pytest.mark.parametrize("name", CASES)
def test_every_case_runs_without_its_peers(name, database_url):
    for case in find(name)(replace(TINY, sizes=(400,))):
        entry = smoke(case, database_url, peers=False)
        assert {one["who"] for one in entry["contestants"]} <= {OURS, "bare"}
        assert all(sample["count"] > 0 for one in entry["contestants"] for sample in one["samples"]), entry
        assert tables.case(entry).count("\n") == len(entry["contestants"]) + 2
        json.dumps(entry)


@pytest.mark.parametrize("peer", ["eventsourcing", "procrastinate"])
@pytest.mark.parametrize("name", ["single", "page", "replay", "projection", "effects"])
@pytest.mark.filterwarnings("default")  # theirs are not ours to mend
def test_the_peers_run(name, peer, database_url, monkeypatch):
    if find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed: `make bench` brings it")
    for module in [one for one in sys.modules if one.partition(".")[0] == "packaging"]:
        monkeypatch.delitem(
            sys.modules, module
        )  # pytest leaves tests/packaging under a name that a peer means otherwise
    ground = Ground(database_url, TINY)
    try:
        for case in find(name)(replace(TINY, sizes=(400,))):
            for one in case.contestants:
                if one.who == peer:
                    assert one.run(ground).count > 0
                    ground.sweep()
    finally:
        ground.close()


def test_a_written_history_is_what_appends_would_have_made(database_url):
    events = 3 * STEPS * 10
    assert fill(database_url, ours.STORE, history(events, 400, width=10)) == events
    assert ours.verify(database_url) == events
    with ours.reader(database_url) as conn:
        assert ours.replay(conn) == (events, 30)
    engine = connect(database_url)
    with engine.begin() as conn:
        order = load(conn, ours.STORE, life(7))
    engine.dispose()
    assert (order.status, order.version, order.holds) == (Status.COMPLETED, STEPS, ())
    assert (order.confirmed, order.dispute) == (True, None)


def test_written_read_models_are_what_their_projections_would_have_made(database_url, monkeypatch):
    monkeypatch.setattr(models, "_PAGE", 50)
    monkeypatch.setattr(models, "_ORDERS", 12)
    events = 3 * STEPS * 10
    fill(database_url, ours.STORE, history(events, 400, width=10))
    models.fill_models(database_url)
    engine = connect(database_url)
    for projection in (Orders(), Timeline()):
        found = beside.compare(engine, ours.STORE, projection, ours.POLICY, lambda _position: None)
        assert (found.count, found.rows > 0) == (0, True), found
    with engine.begin() as conn:
        applied = progress.applied(conn, ["orders", "timeline"], ours.STORE)
        assert (flaws(conn, ours.STORE, applied), applied["orders"].count) == ({}, events)
    engine.dispose()


def test_texts_have_the_length_that_they_are_called_by():
    for size in TINY.sizes:
        assert all(abs(len(text) - size) <= size * 0.05 for text in bodies(size)), size
        assert all(json.loads(text) for text in bodies(size))


def test_what_is_loose_is_refused(new_database):
    with psycopg.connect(plain(new_database()), autocommit=True) as conn:
        database = conn.execute("SELECT current_database(), current_setting('fsync')").fetchone()
    if database[1] == "on":
        pytest.skip("this server is durable")
    with pytest.raises(server.LooseError, match="fsync"):
        server.check(new_database())


def test_an_error_in_a_producer_is_raised():
    def fail(_number):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        produce(2, 0.01, fail)
    with pytest.raises(ZeroDivisionError):
        produce(2, 0.01, lambda _number: lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        together(2, fail)


def test_a_goal_is_judged_by_the_median_of_the_ratios_of_each_round():
    samples = {"a": [Sample(n, 1.0) for n in (10, 30, 90)], "b": [Sample(n, 1.0) for n in (10, 10, 10)]}
    goal = Goal("", "", "a", "b", at_least=3.0)
    [met] = runner.judged([goal], samples, full=True)
    assert (met["value"], met["met"]) == ({"median": 3.0, "low": 1.0, "high": 9.0}, True)
    [missed] = runner.judged([replace(goal, at_least=3.1, needs_full=True)], samples, full=False)
    assert (missed["met"], missed["smaller"]) == (False, True)
    assert list(runner.judged([replace(goal, right="absent")], samples, full=True)) == []


def test_the_documents_say_what_was_measured_and_what_was_not(tmp_path, database_url):
    [case] = find("machine")(TINY)
    case = replace(case, contestants=(Contestant("orderflow", OURS, lambda _ground: Sample(1000, 1.0)),))
    kept = results.add(
        tmp_path / "r.json", "2026-01-01T00:00:00", server.facts(database_url), {"machine": smoke(case, database_url)}
    )
    for part in ("docs/reference", "docs/explanation", "docs/images"):
        (tmp_path / part).mkdir(parents=True)
    list(pages.write(kept, tmp_path / "docs"))
    page = (tmp_path / "docs/reference/benchmarks.md").read_text()
    assert "| compiled machine | ≥ 2 M judged transitions/s | 1,000 (1,000–1,000)/s | **no** |" in page
    assert "../images/bench-machine.svg" in page
    assert "orderflow" in (tmp_path / "docs/images/bench-machine.svg").read_text()
    assert "river: all of it" in (tmp_path / "docs/explanation/capacity.md").read_text().partition("## Not measured")[2]


def test_the_page_on_capacity_asks_for_what_the_cases_measure():
    sample = {"count": 10, "seconds": 1.0, "rate": 10.0, "p50": 1.0, "p99": 2.0}
    sample["extra"] = dict.fromkeys(
        ("append", "page read", "order show", "bytes an order", "events an order", "cores of orderflow"), 3.0
    )
    cases = {
        case.name: {
            "scale": asdict(Scale()),
            "contestants": [{"label": one.label, "who": one.who, "samples": [sample]} for one in case.contestants],
        }
        for name in CASES
        for case in find(name)(Scale())
    }
    page = capacity({"runs": {}, "cases": cases})
    assert "Not measured" not in page
    assert "360,000 orders a day" in page


def test_the_pages_are_written_from_the_results_beside_them():
    published = results.read(results.PUBLISHED)
    assert pages.benchmarks(published) == (results.PUBLISHED.parent / "benchmarks.md").read_text()
    assert pages.capacity(published) == (results.PUBLISHED.parents[1] / "explanation/capacity.md").read_text()


def test_a_plot_shows_every_contestant():
    entry = {"title": "a < b", "unit": "x/s", "figure": "rate", "contestants": []}
    for label, rate in (("one", 10.0), ("two", 5000.0)):
        entry["contestants"].append({"label": label, "who": OURS, "samples": [{"rate": rate}]})
    svg = plots.bars(entry)
    assert ">one<" in svg
    assert ">5,000<" in svg
    assert "a &lt; b" in svg
