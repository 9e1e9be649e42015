"""The fakes over a real socket: keep-alive, every fault, and a server that is down for a while."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from orderflow.sandbox import Fault, Faults, Server, serve
from orderflow.sandbox.faults import Kind

from .world import GLOPAL_KEY, SHOP_KEY, STORE, World, new_order


@contextmanager
def connected(server: Server, seconds: float = 5) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=seconds)
    try:
        yield connection
    finally:
        connection.close()


def create(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    connection.request("POST", "/orders", json.dumps(new_order()).encode(), SHOP_KEY)
    answer = connection.getresponse()
    answer.read()
    return answer


def test_glopal_is_served_and_one_connection_serves_many_requests() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    with serve(world.glopal.handle) as server, connected(server) as connection:
        for path in (f"/v2/events/{STORE}?event=order.received&after_event_id=", f"/v2/orders/{STORE}/{order_id}") * 3:
            connection.request("GET", path, headers=GLOPAL_KEY)
            answer = connection.getresponse()
            assert (answer.status, answer.version) == (200, 11)
            content = json.loads(answer.read())
        assert content["id"] == order_id
        connection.request("GET", f"/v2/events/{STORE}", headers=GLOPAL_KEY)
        links = json.loads(connection.getresponse().read())["links"]
        assert links["next"].startswith(f"{server.url}/v2/events/{STORE}?")


def test_an_answer_without_a_body_keeps_the_connection() -> None:
    world = World()
    order_id = world.draft()["id"]
    with serve(world.shop.handle) as server, connected(server) as connection:
        for expected in (204, 404):
            connection.request("DELETE", f"/orders/{order_id}", headers=SHOP_KEY)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == expected


@pytest.mark.parametrize(
    ("kind", "heard", "made"),
    [
        ("refused", None, 0),
        ("cut_before", None, 0),
        ("cut_after", None, 1),
        ("throttled", 429, 0),
        ("error_500", 500, 0),
        ("error_503", 503, 0),
        ("error_after", 500, 1),
        ("html_before", 200, 0),
        ("html_after", 200, 1),
        ("empty_after", 200, 1),
        ("wrong_type", 201, 1),
        ("throttled_oddly", 429, 0),
        ("redirect", 307, 0),
    ],
)
def test_every_fault_over_the_socket(kind: Kind, heard: int | None, made: int) -> None:
    world = World()
    faults = Faults()
    faults.script(kind, method="POST")
    with serve(world.shop.handle, faults) as server, connected(server) as connection:
        if heard is None:
            with pytest.raises(ConnectionError):
                create(connection)
            connection.close()
        else:
            answer = create(connection)
            assert answer.status == heard
            assert (answer.headers["retry-after"] is not None) == (
                kind in ("throttled", "throttled_oddly", "error_503")
            )
        assert len(world.shop.ledger()) == made
        assert create(connection).status == 201


def test_a_truncated_answer_breaks_off() -> None:
    world = World()
    faults = Faults()
    faults.script("truncated")
    with serve(world.shop.handle, faults) as server, connected(server) as connection:
        connection.request("POST", "/orders", json.dumps(new_order()).encode(), SHOP_KEY)
        answer = connection.getresponse()
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
        assert len(world.shop.ledger()) == 1


def test_silence_lasts_until_the_client_gives_up() -> None:
    world = World()
    faults = Faults()
    faults.script("silent_after")
    with serve(world.shop.handle, faults) as server, connected(server, 0.2) as connection:
        with pytest.raises(TimeoutError):
            create(connection)
        assert len(world.shop.ledger()) == 1


def test_a_drip_is_a_byte_at_a_time_and_beats_the_timeout_of_a_read() -> None:
    world = World()
    faults = Faults()
    faults.script(Fault("drip", timedelta(seconds=0.001)))
    with serve(world.shop.handle, faults) as server, connected(server) as connection:
        connection.request("POST", "/orders", json.dumps(new_order()).encode(), SHOP_KEY)
        answer = connection.getresponse()
        first = answer.read1(1 << 16)
        assert len(first) < int(answer.headers["content-length"])  # not in one piece
        assert json.loads(first + answer.read())["id"] == world.shop.ledger()[0].id


def test_a_server_stops_though_someone_is_kept_waiting() -> None:
    world = World()
    faults = Faults()
    faults.script("silent_after")
    with serve(world.shop.handle, faults) as server, connected(server) as connection:
        connection.request("POST", "/orders", json.dumps(new_order()).encode(), SHOP_KEY)
        end = time.monotonic() + 5
        while not world.shop.ledger() and time.monotonic() < end:
            time.sleep(0.01)
        server.stop()
        with pytest.raises(ConnectionError):
            connection.getresponse()


def test_a_late_request_is_executed_after_the_client_was_cut() -> None:
    world = World()
    faults = Faults()
    faults.script(Fault("late", timedelta(seconds=0.1)))
    with serve(world.shop.handle, faults) as server, connected(server) as connection:
        with pytest.raises(ConnectionError):
            create(connection)
        assert world.shop.ledger() == []
        end = time.monotonic() + 5
        while not world.shop.ledger() and time.monotonic() < end:
            time.sleep(0.01)
        assert len(world.shop.ledger()) == 1


def test_a_stopped_server_refuses_and_comes_back_at_the_same_port() -> None:
    world = World()
    with serve(world.shop.handle) as server, connected(server) as connection:
        assert create(connection).status == 201
        url = server.url
        server.stop()
        assert not server.running
        with pytest.raises(ConnectionError):
            create(connection)  # the open connection was broken
        connection.close()
        with pytest.raises(ConnectionRefusedError):
            create(connection)
        connection.close()
        server.start()
        assert server.url == url
        assert create(connection).status == 201


def test_many_clients_at_once() -> None:
    world = World()
    statuses: list[int] = []

    def work(server: Server) -> None:
        with connected(server) as connection:
            statuses.extend(create(connection).status for _ in range(25))

    with serve(world.shop.handle) as server:
        threads = [threading.Thread(target=work, args=(server,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [201] * 200
    assert len({entry.id for entry in world.shop.ledger()}) == 200
