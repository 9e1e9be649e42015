"""Every command of the command line, as a process of its own on a real database and over real HTTP."""

import pytest
import sqlalchemy as sa
from tests.store.writing import emptied

import orderflow
from orderflow.cli.demo.judge import rebuilt
from orderflow.store import migrate

from .stage import STORE, staged, wait


def test_version(stage):
    said = stage.run_apart("version")
    assert (said.code, said.out, said.err) == (0, f"{orderflow.__version__}\n", "")


# --- bad input ------------------------------------------------------------------------------------------------------


def test_without_settings_one_line_names_the_way_out(stage):
    said = stage.run_apart("orders", "list", ORDERFLOW_CONFIG="nowhere.toml")
    assert (said.code, said.out) == (2, "")
    [line] = said.err.splitlines()
    assert "nowhere.toml cannot be read (No such file or directory): name the settings file with --config" in line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('master_key_file = "k"\nstores = 1', ["stores"]),
        ("[stores.acme", ["bad.toml is not valid TOML"]),
        (
            'master_key_file = "k"\n[stores.acme.glopal]\nbase_url = "https://x"\nkey = {}',
            ["stores.acme.glopal.key", "stores.acme.shop"],
        ),
        ("master_key_file = 7\nstores = {}", ["master_key_file"]),
        ('master_key_file = "k"\ndatabase_url = "http://x"\nstores = {}', ["database_url"]),
    ],
)
def test_every_mistake_in_the_settings_is_named(stage, text, told):
    (stage.home / "bad.toml").write_text(text)
    said = stage.run("--config", "bad.toml", "orders", "list", code=2)
    lines = said.err.removeprefix("orderflow: ").splitlines()
    assert [line.startswith(key) for line, key in zip(lines, told, strict=True)] == [True] * len(told)


@pytest.mark.parametrize(
    "arguments",
    [
        ("orders", "show", "acne/1-1"),
        ("orders", "show", "1-1"),
        ("orders", "timeline", "1-1"),
        ("orders", "list", "--status", "LOST"),
        ("cancel", "1-1", "--reason", "x"),
        ("release", "1-1", "boredom", "3", "--why", "x"),
        ("retry", "1-1", "dance", "--why", "x"),
        ("retry", "1-1", "draft", "--why", " "),
        ("pause", STORE, "everything"),
        ("rebuild", "everything"),
        ("pull", "acne"),
    ],
)
def test_bad_input_is_one_line_and_code_2(stage, arguments):
    said = stage.run(*arguments, code=2)
    assert said.out == ""
    assert len(said.err.splitlines()) == 1


def test_an_empty_database_is_told_and_migrated(tmp_path):
    tmp_path.chmod(0o711)
    with staged(tmp_path, None) as stage:
        assert "orderflow migrate" in stage.run("orders", "list", code=2).err
        assert "migrated from nothing" in stage.run("migrate").out
        assert "already" in stage.run("migrate").out
        assert stage.run("orders", "list", "--json").data == []


# --- looking --------------------------------------------------------------------------------------------------------


def test_pull_list_show_timeline(stage):
    one, other = stage.place(ready=True), stage.place()
    assert stage.run("pull").out == f"{STORE}: 3 events seen, 3 new\n"
    assert stage.run("pull", STORE, "--once").out == f"{STORE}: 0 events seen, 0 new\n"

    listed = stage.run("orders", "list", "--json").data
    assert {row["order_id"]: row["status"] for row in listed} == {one: "READY", other: "RECEIVED"}
    assert [row["order_id"] for row in stage.run("orders", "list", "--status", "ready", "--json").data] == [one]
    assert stage.run("orders", "list", "--held", "--json").data == []
    assert stage.run("orders", "list", "--attention", "--json").data == []
    assert "2 orders; the first 1 are shown" in stage.run("orders", "list", "--limit", "1").out

    shown = stage.show(one)
    assert (shown["status"], shown["confirmed"], shown["holds"]) == ("READY", False, [])
    assert [due["effect"] for due in shown["due"]] == ["fetch"]
    assert [row["effect"] for row in shown["outbox"]] == ["fetch"]
    assert "not confirmed by details" in stage.run("orders", "show", one).out

    lines = stage.run("orders", "timeline", one, "--json").data
    assert [(line["type"], line["status"]) for line in lines] == [
        ("OrderReceived", "RECEIVED"),
        ("OrderReady", "READY"),
    ]
    assert "Glopal reports ready" in stage.run("orders", "timeline", one).out


def test_a_list_that_lags_says_so(stage, engine):
    stage.place()
    stage.run("pull")
    with engine.begin() as conn:
        conn.execute(sa.text("DELETE FROM orderflow.checkpoints WHERE reader = 'orders'"))
    said = stage.run("orders", "list", "--json")
    assert "1 events behind the log" in said.err
    assert len(said.data) == 1


# --- commands -------------------------------------------------------------------------------------------------------


def test_a_whole_life_with_a_worker(stage):
    with stage.working():
        order_id = stage.place(ready=True)
        wait(lambda: stage.glopal.status(STORE, order_id) == "ACCEPTED")
        stage.rest()
        stage.glopal.complete(STORE, order_id)
        wait(lambda: stage.show(order_id)["status"] == "COMPLETED")
    shown = stage.show(order_id)
    assert shown["glopal_shows"] == shown["accept_asked_with"]
    [made] = stage.shop.ledger()
    assert (made.state, made.id) == ("order", shown["glopal_shows"]["order_id"])

    refused = stage.run("accept", order_id, "--id", "other", "--number", "1", code=1)
    assert "Accept is not allowed for an order that is COMPLETED: other ids are known" in refused.err
    assert "Allowed:" in refused.err


def test_accept_by_hand_writes_once(stage):
    order_id = stage.place(ready=True)
    stage.run("pull")
    accept = ("accept", order_id, "--id", "S-1", "--number", "0001", "--by", "ada")
    assert "recorded at position 3" in stage.run(*accept, "--command-id", "c-1").out
    assert "nothing written" in stage.run(*accept, "--command-id", "c-1").out
    assert "nothing written" in stage.run(*accept).out
    other = stage.run("accept", order_id, "--id", "S-2", "--number", "0002", code=1)
    assert "other ids are known: S-1 / 0001" in other.err
    line = stage.run("orders", "timeline", order_id, "--json").data[-1]
    assert line["what"] == "accept with S-1 / 0001, decided by ada"


def test_cancel_withdraws_and_then_cancels(stage):
    with stage.working():
        order_id = stage.place()
        wait(lambda: len(stage.shop.ledger()) == 1)
        stage.run("cancel", order_id, "--reason", "out_of_stock")
        wait(lambda: stage.glopal.status(STORE, order_id) == "CANCELLED")
        stage.rest()
    assert [made.state for made in stage.shop.ledger()] == ["deleted"]
    assert stage.show(order_id)["status"] == "CANCELLED"
    assert "is cancelled already" in stage.run("cancel", order_id, "--reason", "again", code=1).err


def test_a_held_order_is_released_by_the_command_that_is_shown(stage):
    with stage.working():
        order_id = stage.place(ready=True)
        stage.glopal.report(STORE, order_id, "order.cancelled")
        wait(lambda: [hold["reason"] for hold in stage.show(order_id)["holds"]] == ["overruled"], 30)
        assert [row["order_id"] for row in stage.run("orders", "list", "--attention", "--json").data] == [order_id]
        [one] = stage.show(order_id)["attention"]
        [shown] = one["commands"]
        program, *arguments = shown.replace('"..."', "checked").split()
        assert program == "orderflow"
        wrong = [*arguments]
        wrong[3] = "1"
        assert "stands at position" in stage.run(*wrong, code=1).err
        assert "recorded" in stage.run(*arguments).out
        assert "nothing written" in stage.run(*arguments).out
        wait(lambda: stage.glopal.status(STORE, order_id) == "ACCEPTED")
    assert stage.show(order_id)["holds"] == []


def test_what_the_shop_refused_waits_for_a_retry(stage):
    with stage.working():
        refuse = {"on": True}
        stage.shop.options = type(stage.shop.options)(refuse=lambda _: "no_such_thing" if refuse["on"] else None)
        order_id = stage.place(ready=True)
        wait(lambda: stage.show(order_id)["parked"])
        [one] = stage.show(order_id)["attention"]
        assert one["kind"] == "parked_draft"
        assert one["commands"] == [f'orderflow retry {STORE}/{order_id} draft --why "..."']
        refuse["on"] = False
        stage.run("retry", order_id, "draft", "--why", "the shop knows it now")
        wait(lambda: stage.glopal.status(STORE, order_id) == "ACCEPTED")


def test_pause_and_resume(stage):
    assert "is paused" in stage.run("pause", STORE, "shop", "--why", "stocktaking").out
    with stage.working():
        order_id = stage.place(ready=True)
        wait(lambda: stage.show(order_id)["confirmed"])
        assert stage.shop.ledger() == []
        [told] = [one for one in stage.run("pauses", "--json").data if one["store"] == STORE]
        assert (told["scope"], told["reason"]) == ("shop", "stocktaking")
        assert "stocktaking" in stage.run("pauses").out
        wait(lambda: [one["kind"] for one in stage.show(order_id)["around"] if one["stops"]] == ["paused"])
        assert "goes on" in stage.run("resume", STORE, "shop").out
        assert "was not paused" in stage.run("resume", STORE, "shop").out
        wait(lambda: stage.glopal.status(STORE, order_id) == "ACCEPTED")
    stage.run("pause", STORE, "pull")
    assert "paused" in stage.run("pull", code=1).err


def test_the_kill_switch_stops_everything_and_lets_it_go(stage):
    everything = [{"store": STORE, "scope": scope, "paused": True} for scope in ("pull", "glopal", "shop")]
    assert stage.run("pause", "all", "all", "--why", "fire", "--json").data == everything
    assert stage.run("pull", code=1).out == f"{STORE}: 0 events seen, 0 new\n"
    assert len(stage.run("pauses", "--json").data) == 3
    assert stage.run("resume", "all", "shop").out == f"shop of {STORE} goes on\n"
    assert [one["lifted"] for one in stage.run("resume", "all", "all", "--json").data] == [True, True, False]
    assert stage.run("resume", STORE, "all").out == "nothing of that was paused\n"
    assert stage.run("pauses").out == "nothing is paused\n"
    assert "did you mean shop?" in stage.run("pause", STORE, "shp", code=2).err


def test_paused_destinations_are_not_even_asked(stage):
    stage.run("pause", STORE, "glopal")
    order_id = stage.place(ready=True)
    with stage.working():
        wait(lambda: stage.show(order_id)["outbox"])
        other = stage.place()
        wait(lambda: stage.order(other).version > 0)
        assert stage.show(order_id)["attempts"] == []  # fetching is a read, and waits as well
        stage.run("resume", STORE, "glopal")
        wait(lambda: stage.glopal.status(STORE, order_id) == "ACCEPTED")


# --- what is said ---------------------------------------------------------------------------------------------------


def test_every_command_that_says_something_says_it_in_json(stage):
    order_id = stage.place(ready=True)
    assert stage.run("migrate", "--json").data["from"] == stage.run("migrate", "--json").data["to"]
    assert stage.run("version", "--json").data["orderflow"] == orderflow.__version__
    [pulled] = stage.run("pull", "--json").data
    assert (pulled["seen"], pulled["new"], pulled["stopped"]) == (2, 2, "")
    told = {"store": STORE, "order_id": order_id, "command": "Retry", "written": True, "position": 3}
    assert stage.run("retry", order_id, "draft", "--why", "x", "--command-id", "c", "--json").data == told
    again = stage.run("retry", order_id, "draft", "--why", "x", "--command-id", "c", "--json").data
    assert again == told | {"written": False, "position": None}
    beside = stage.run("effects", "retry", order_id, "draft", "--why", "x", "--command-id", "c", "--json").data
    assert beside == again  # it stands beside the other commands about effects, too
    assert [one["position"] for one in stage.run("rebuild", "orders", "--json").data] == [3]


# --- recomputing: replay --------------------------------------------------------------------------------------------


def test_replay_compares_and_names_what_differs(stage, engine):
    """Equal before anybody meddles; then the order, the column, and exit code 1, for people and for programs."""
    one, two = sorted(stage.place(ready=True) for _ in range(2))
    stage.run("pull")
    stage.run("rebuild", "orders")
    said = stage.run("replay").out
    assert said == f"{STORE}: 2 orders up to position 4: 2 READY\n  the read model orders says the same of each\n"
    with engine.begin() as conn:
        conn.execute(sa.text("UPDATE orderflow.orders SET status = 'ACCEPTED' WHERE order_id = :o"), {"o": one})
        conn.execute(sa.text("DELETE FROM orderflow.orders WHERE order_id = :o"), {"o": two})
    said = stage.run("replay", STORE, code=1)
    assert said.err == f"orderflow: 2 of 2 orders of {STORE} differ: {one} (status), {two} (it has no row)\n"
    [found] = stage.run("replay", "--json", code=1).data
    assert found == {
        "store": STORE,
        "position": 4,
        "orders": 2,
        "by_status": {"READY": 2},
        "judged_by_other_machines": {},
        "compared": True,
        "differences": [{"order_id": one, "what": ["status"]}, {"order_id": two, "what": ["it has no row"]}],
    }


def test_replay_until_a_position_or_a_time(stage):
    """A prefix, and nothing is compared with it."""
    stage.place(ready=True)
    stage.run("pull")
    assert stage.run("replay", "--until", "1").out == f"{STORE}: 1 order up to position 1: 1 RECEIVED\n"
    assert stage.run("replay", "--until", "2000-01-01").out == f"{STORE}: 0 orders up to position 0: none\n"
    assert stage.run("replay", "--until", "2999-01-01", "--json").data[0]["by_status"] == {"READY": 1}
    assert "the log of " in stage.run("replay", "--until", "3", code=2).err
    assert "is no time" in stage.run("replay", "--until", "soon", code=2).err


def test_what_a_migration_would_do_is_printed_without_a_database(stage):
    text = (stage.home / "orderflow.toml").read_text().replace("database_url", "# database_url")
    (stage.home / "orderflow.toml").write_text(text)
    said = stage.run("migrate", "--sql").out
    assert "CREATE TABLE orderflow.events" in said
    assert not (stage.home / "data").exists()


def test_a_database_at_an_older_revision_is_refused_politely(stage, database_url, engine):
    emptied(engine)
    migrate.upgrade(database_url, "0001")
    said = stage.run("orders", "list", code=2)
    assert (
        said.err
        == f"orderflow: the database stands at 0001, this version needs {migrate.head()}: run `orderflow migrate`\n"
    )
    stage.run("migrate")
    stage.run("orders", "list")


# --- recomputing ----------------------------------------------------------------------------------------------------


def test_rebuild_changes_nothing(stage):
    for _ in range(3):
        stage.place(ready=True)
    stage.run("pull")
    before = stage.run("orders", "list", "--json").data
    said = stage.run("rebuild", "timeline").out
    assert said == f"timeline of {STORE}: rebuilt up to position 6, 0 of 6 rows differ\n"
    assert len(stage.run("rebuild").out.splitlines()) == 5
    assert stage.run("orders", "list", "--json").data == before


def test_an_edited_read_model_is_found_mended_kept_and_released(stage, engine):
    order_id = stage.place(ready=True)
    stage.place()
    stage.run("pull")
    assert stage.run("rebuild", "--compare", "orders").out == f"orders of {STORE}: 0 of 2 rows differ\n"
    assert stage.run("rebuild", "orders", "--back", code=1).err == (f"orderflow: no former orders of {STORE} is kept\n")
    edit = "UPDATE orderflow.orders SET status = 'COMPLETED' WHERE order_id = :order"
    with engine.begin() as conn:
        conn.execute(sa.text(edit), {"order": order_id})
    said = stage.run("rebuild", "--compare", "orders", code=1).out.splitlines()
    assert said == [
        f"orders of {STORE}: 1 of 2 rows differ at position 3: 1 changed (status 1)",
        f"  order_id={order_id}: status COMPLETED -> READY",
    ]
    [found] = stage.run("rebuild", "--compare", "orders", "--json", code=1).data
    assert (found["differ"], found["rows"], found["columns"]) == (1, 2, {"status": 1})
    change = {"key": {"order_id": order_id}, "old": {"status": "COMPLETED"}, "new": {"status": "READY"}}
    assert found["examples"] == [change]
    assert stage.run("orders", "list", "--json").data[-1]["status"] == "COMPLETED"
    assert "--back" in stage.run("rebuild", "orders").out
    stage.run("rebuild", "--compare")
    stage.run("rebuild", "orders", "--back")
    assert stage.run("rebuild", "--compare", "orders", code=1).out.splitlines() == said
    stage.run("rebuild", "orders", "--back")
    assert stage.run("rebuild", "orders", "--release").out == f"orders of {STORE}: 2 former rows released\n"
    assert "exclude" in stage.run("rebuild", "orders", "--release", "--back", code=2).err


def test_rebuild_beside_a_worker(stage):
    with stage.working():
        orders = [stage.place(ready=True) for _ in range(8)]
        wait(lambda: len(stage.run("orders", "list", "--json").data) == 8)
        for _ in range(3):
            stage.run("rebuild")
        wait(lambda: all(stage.glopal.status(STORE, one) == "ACCEPTED" for one in orders), 40)
        stage.rest()
    assert list(rebuilt(stage.app)) == []


def test_verify_names_the_first_bad_row(stage, engine):
    for _ in range(2):
        stage.place(ready=True)
    stage.run("pull")
    assert stage.run("verify").out == (
        f"the log of {STORE} is whole: 4 events\n"
        f"the readers of {STORE} have missed nothing: orders 4, timeline 4, anomalies 4, effects 4, exceptions 4, "
        "planner 4\n"
    )
    [told] = stage.run("verify", STORE, "--json").data
    whole = {"store": STORE, "events": 4, "damage": None, "position": None, "standing": "whole", "problems": []}
    assert told.items() >= whole.items()
    assert told["readers"][0] == {"reader": "orders", "position": 4, "applied": 4, "flaw": None}
    with engine.begin() as conn:  # as a superuser who means harm
        conn.execute(sa.text("SET session_replication_role = replica"))
        conn.execute(sa.text("UPDATE orderflow.events SET clear = replace(clear, '20', '21') WHERE position = 3"))
    said = stage.run("verify", STORE, code=1)
    assert "damaged at position 3: its contents do not match its leaf" in said.err
    assert stage.run("verify", "--json", code=1).data[0]["position"] == 3


def test_verify_names_the_reader_that_missed_something(stage, engine):
    for _ in range(2):
        stage.place(ready=True)
    stage.run("pull")
    with engine.begin() as conn:
        conn.execute(sa.text("UPDATE orderflow.checkpoints SET count = 1 WHERE reader = 'timeline'"))
    said = stage.run("verify", code=1)
    assert said.err == (f"orderflow: timeline of {STORE} has applied 1 events up to position 4: 3 were never applied\n")
    assert "3 were never applied" in stage.run("doctor", code=1).out
    stage.run("rebuild", "timeline")
    stage.run("verify")


def test_a_planner_that_missed_something_is_judged_anew(stage, engine):
    order_id = stage.place(ready=True)
    stage.run("pull")
    with engine.begin() as conn:
        conn.execute(sa.text("UPDATE orderflow.checkpoints SET count = 1 WHERE reader = 'planner'"))
        conn.execute(sa.text("DELETE FROM orderflow.outbox"))
    assert f"planner of {STORE} has applied 1 events" in stage.run("verify", code=1).err
    assert "`orderflow rebuild planner`" in stage.run("doctor", code=1).out.replace("\n", " ")
    assert "only in the new" in stage.run("rebuild", "--compare", "planner", code=1).out
    stage.run("verify", code=1)
    assert "read models only" in stage.run("rebuild", "planner", "--back", code=2).err
    said = stage.run("rebuild", "planner").out.splitlines()
    assert said[0] == (
        f"planner of {STORE}: judged anew up to position 2, 1 of 0 rows differ at position 2: 1 only in the new"
    )
    assert said[1] == f"  order_id={order_id}, destination=glopal, effect=fetch, generation=0: only in the new"
    stage.run("verify")
    assert stage.run("rebuild", "--compare", "planner").out == f"planner of {STORE}: 0 of 1 rows differ\n"
