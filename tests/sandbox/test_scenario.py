"""Scenario files: what they say happens, in virtual time, and every mistake in them is named."""

from datetime import timedelta
from random import Random

import pytest

from orderflow.sandbox import Fault, Request
from orderflow.sandbox.scenario import Scenario, ScenarioError, rates, read
from orderflow.sandbox.scenario.steps import ACTS
from orderflow.sandbox.stage import Stage, staged

from .world import Clock

STORY = """
stores = ["acme", "globex"]
seed = 7

[switches]
get_lag = "5 s"
page_cap = 50
extra_members = true

[shop]
search_lag = "3 s"
unique_reference = true
answer_without_id = 0.1

[faults.glopal]
cut_after = 0.05
throttled = 0.1

[[script]]
at = "shop"
kind = "truncated"
method = "POST"
path = "/orders$"
nth = 2
times = 3

[[script]]
at = "glopal"
kind = "throttled"
retry_after = "soon"

[webhooks]
url = "http://127.0.0.1:9/{store}"
secret = "sesame"
auth = "hmac hex"

[[orders]]
store = "globex"
times = 2
apart = "10 s"
order = { currency = "EUR", totals = { total = 12.50 } }
steps = [{ act = "ready", after = "2 s" }, { act = "cancel", after = 1 }]
"""


class Play:
    """A scenario in virtual time."""

    def __init__(self, text: str) -> None:
        self.clock = Clock()
        self.stage: Stage = staged(read(text), self.clock)

    def run(self, seconds: int = 60) -> None:
        for _ in range(seconds + 1):
            self.stage.step(self.clock())
            self.clock.pass_(1)

    def statuses(self, store: str = "acme") -> list[str]:
        return [entry.status for entry in self.stage.glopal.ledger(store)]


def mistakes(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        read(text)
    return caught.value.mistakes


def test_a_file_says_everything() -> None:
    scenario = read(STORY)
    assert scenario.options.get_lag == timedelta(seconds=5)
    assert (scenario.options.page_cap, scenario.options.extra_members) == (50, True)
    assert scenario.shop.search_lag == timedelta(seconds=3)
    assert scenario.rates["glopal"] == {"cut_after": 0.05, "throttled": 0.1}
    assert scenario.hook is not None
    assert (scenario.hook.secret, scenario.hook.options.auth) == ("sesame", "hmac hex")
    assert len(scenario.lives) == 2
    at_shop = scenario.faults("shop", Random(1))
    kinds = [at_shop.choose(Request("POST", "/orders")).kind for _ in range(5)]
    assert kinds == ["none", "truncated", "truncated", "truncated", "none"]
    assert scenario.faults("glopal", Random(1)).choose(Request("GET", "/")) == Fault("throttled", retry_after="soon")


def test_orders_live_as_they_are_told_to() -> None:
    play = Play(STORY.partition("[webhooks]")[0] + STORY[STORY.index("[[orders]]") :])
    play.run(3)
    assert play.statuses("globex") == ["CANCELLED"]
    play.run(20)
    first, second = play.stage.glopal.ledger("globex")
    assert [status for _, status in second.statuses] == ["RECEIVED", "READY", "CANCELLED"]
    assert second.statuses[0][0] - first.statuses[0][0] == timedelta(seconds=10)
    assert play.stage.player.done
    assert play.stage.player.refused == []


def test_the_same_seed_tells_the_same_story() -> None:
    def ids(text: str) -> list[str]:
        play = Play(text)
        play.run(5)
        return [entry.order_id for entry in play.stage.glopal.ledger("acme")]

    seeded = "seed = 3\n[[orders]]\ntimes = 3"
    assert ids(seeded) == ids(seeded)
    assert ids("[[orders]]") != ids("[[orders]]")


@pytest.mark.parametrize("act", ACTS)
def test_every_act_can_be_told(act: str) -> None:
    particulars = {"report": ', event = "order.invented"', "switch": ', to = { environment = "test" }'}
    read(f'[[orders]]\nsteps = [{{ act = "{act}"{particulars.get(act, "")} }}]')


def test_what_the_acts_do() -> None:
    play = Play(
        """
        [[orders]]
        order = { id = "1-1" }
        steps = [
          { act = "ready", delay = "4 s", copies = 2 },
          { act = "report", event = "order.cancelled" },
          { act = "accept_elsewhere", order_id = "9", order_number = "00009" },
          { act = "amend", order = { customer_note = "ring twice" } },
          { act = "complete" },
          { act = "ship" },
          { act = "return" },
          { act = "return", status = "AUTHORIZED" },
          { act = "withdraw" },
          { act = "switch", to = { environment = "test" } },
          { act = "serve_instead", body = "<html>", status = 502 },
        ]
        """
    )
    play.run()
    (entry,) = play.stage.glopal.ledger("acme")
    assert [status for _, status in entry.statuses] == ["RECEIVED", "READY", "ACCEPTED", "COMPLETED"]
    assert (entry.ids, entry.shipped, entry.accepts[0].by) == (("9", "00009"), True, "elsewhere")
    assert play.stage.player.refused == ["order 1-1 cannot be cancelled: order_shipped"]
    assert play.stage.glopal.options.environment == "test"
    key = {"authorization": "Bearer GL.sandbox"}
    answer = play.stage.glopal.handle(Request("GET", "/v2/orders/acme/1-1", (), key))
    assert (answer.status, answer.body) == (502, b"<html>")
    feed = play.stage.glopal.handle(Request("GET", "/v2/events/acme", (), key)).body.decode()
    names = [part.partition('"')[0] for part in feed.split('"event_name":"')[1:]]
    assert names == [
        *("order.received", "order.cancelled", "return.requested", "return.authorized", "order.ready", "order.ready"),
    ]


def test_completion_waits_for_whoever_accepts() -> None:
    play = Play('[[orders]]\nsteps = [{ act = "ready" }, { act = "complete" }]')
    play.run(30)
    assert play.statuses() == ["READY"]
    order_id = play.stage.glopal.ledger("acme")[0].order_id
    play.stage.glopal.accept_elsewhere("acme", order_id, "9", "00009")
    play.run(2)
    assert play.statuses() == ["COMPLETED"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("= 1", "the file is no TOML"),
        ("store = 'acme'", "store: there is no such key; there are stores, "),
        ("stores = []", "stores: must be a list of names"),
        ("seed = 'x'", "seed: must be a whole number from 0"),
        ("switches = 1", "switches: must be a table"),
        ("[switches]\nget_lagg = 1", "switches.get_lagg: there is no such switch; did you mean get_lag?"),
        ("[switches]\npages = 'odd'", "switches.pages: 'odd' is not possible; it takes plain | overlapping"),
        ("[shop]\nsearch_lag = 'soon'", 'shop.search_lag: must be a time, for example "2 s"'),
        ("[shop]\nunique_reference = 1", "shop.unique_reference: must be true or false"),
        ("[faults.bank]\ncut_after = 0.1", "faults.bank: there is no such key; there are glopal, shop"),
        ("[faults.glopal]\ncut = 0.1", "faults.glopal.cut: there is no such fault; there are refused,"),
        ("[faults.shop]\ncut_after = 2", "faults.shop.cut_after: must be a number from 0 to 1"),
        ("[faults.shop]\ncut_after = 0.7\nlate = 0.7", "faults.shop: all rates together must be at most 1"),
        ("[[script]]\nat = 'shop'", "script[1].kind: is missing; it must be one of refused,"),
        ("[[script]]\nkind = 'late'", "script[1].at: is missing; it must be one of glopal, shop"),
        ("[[script]]\nat='shop'\nkind='late'\npath='('", "script[1].path: is no regular expression"),
        ("[[script]]\nat='shop'\nkind='late'\nnth=0", "script[1].nth: must be a whole number from 1"),
        ("[webhooks]\nurl = 'x'", "webhooks.url: 'x' is no address of a webhook"),
        ("[webhooks]", "webhooks.url: is missing"),
        ("[webhooks]\nurl='http://x'\nauth='oauth'", "webhooks.auth: 'oauth' is not possible; it takes basic |"),
        ("orders = 1", "orders: must be a list of tables"),
        ("orders = [1]", "orders[1]: must be a table"),
        ("[[orders]]\nstore = 'globex'", "orders[1].store: must be one of acme"),
        ("[[orders]]\nsteps = [{ act = 'sing' }]", "orders[1].steps[1].act: must be one of ready, complete,"),
        ("[[orders]]\nsteps = [{ act = 'ready', wait = 1 }]", "orders[1].steps[1].wait: there is no such key"),
        ("[[orders]]\nsteps = [{ act = 'report' }]", "orders[1].steps[1].event: is missing; it must be a text"),
        ("[[orders]]\norder = { x = 2026-01-01 }", "orders[1].order.x: must be a text, a number"),
        ("[[orders]]\norder = { x = nan }", "orders[1].order.x: must be a text, a number"),
        ("[[orders]]\ntimes = 2\norder = { id = '1-1' }", "orders[1].order.id: cannot be the id of 2 orders"),
        ("[[orders]]\ntimes = 20000", "orders: at most 10000 orders"),
        ("[[orders]]\norder.id='1'\n[[orders]]\norder.id='1'", "orders: 2 orders of acme have the id 1"),
    ],
)
def test_every_mistake_is_named_with_its_key_and_what_is_allowed(text: str, said: str) -> None:
    assert mistakes(text)[0].startswith(said)


def test_all_mistakes_are_named_at_once() -> None:
    assert len(mistakes("seed = -1\n[switches]\nx = 1\n[[orders]]\nafter = 'x'")) == 3


def test_an_empty_file_is_a_scenario() -> None:
    assert read("") == Scenario(rates={"glopal": {}, "shop": {}})


def test_rates_on_one_line() -> None:
    assert rates("cut_after=0.1, throttled=.05") == {"cut_after": 0.1, "throttled": 0.05}
    for text in ("cut_after", "cut_after=x", "nonsense=0.1", ""):
        with pytest.raises(ScenarioError):
            rates(text)
