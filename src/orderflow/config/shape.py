"""The settings that there are: their names, types, limits, defaults and what each is for.

It never reads anything. The reference page, `config example` and messages about mistakes are made from here.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from orderflow.config.addresses import problem_of_address, problem_of_written_database_url
from orderflow.config.secret import Secret
from orderflow.domain.policy import ImportCurrency, Mode, OnRefusal

_ADDRESS: Final = {"problem": problem_of_address}


def _is(about: str, example: str | None = None, **limits: Any) -> Meta:
    """What a setting is for, an example where there is no default, and what msgspec and `problem` hold it to."""
    return Meta(description=about, examples=[example] if example else None, **limits)


class PaceSettings(Struct, frozen=True):
    """How fast a destination is called, by all workers together. What its answers say of a rate limit is kept, too."""

    min_interval: Annotated[
        float, _is("seconds from the beginning of one call to the next; 0 leaves it to the destination", ge=0, le=3600)
    ] = 0.0
    at_once: Annotated[
        int, _is("calls that go on at the same time, at most; 0: as many as the workers make", ge=0, le=64)
    ] = 0


class GlopalSettings(Struct, frozen=True):
    """Glopal's API for one store."""

    base_url: Annotated[
        str, _is("Glopal's address; http:// only on this machine", "https://glopal.example.com", extra=_ADDRESS)
    ]
    key: Annotated[Secret, _is("the API key, a secret", '{ env = "GLOPAL_KEY" }')]
    store_id: Annotated[str | None, _is("Glopal's name of the store, if it is another", "922436", min_length=1)] = None
    events: Annotated[tuple[str, ...], _is("names of the events to ask for; an empty list asks for all")] = (
        "order.received",
        "order.ready",
        "order.accepted",
        "order.completed",
        "order.cancelled",
        "return.requested",
        "return.authorized",
        "return.cancelled",
    )
    page_size: Annotated[int, _is("events a page", ge=1, le=1000)] = 100
    poll_seconds: Annotated[float, _is("pause when nothing is new", gt=0, le=3600)] = 5.0
    trailing_minutes: Annotated[float, _is("how far back late events are looked for", gt=0, le=43200)] = 15.0
    patience_seconds: Annotated[
        float, _is("for so long an answer that is no page is asked for again before the pull pauses", ge=0, le=86400)
    ] = 120.0
    settle_seconds: Annotated[
        float, _is("how long after a call Glopal's GET may still not show it (assumed)", gt=0, le=3600)
    ] = 60.0
    openapi: Annotated[
        Path | None, _is("Glopal's own API description, to read the routes from", "glopal.openapi.json")
    ] = None
    routes: Annotated[
        dict[str, Any], _is("overrides of single addresses and bodies, see [assumed](glopal-assumptions.md)")
    ] = {}
    mapping: Annotated[
        Path | None,
        _is("a file that says where things stand in order details, see [assumed](glopal-assumptions.md)", "acme.toml"),
    ] = None
    pace: Annotated[PaceSettings, _is("how fast Glopal is called about single orders")] = PaceSettings()


class ShopKind(StrEnum):
    """What a shop speaks."""

    CONTRACT = "contract"
    MEDUSA = "medusa"
    VENDURE = "vendure"
    SHOPIFY = "shopify"


class MedusaSettings(Struct, frozen=True):
    """What a Medusa needs to know of an order beyond the order itself. For `kind = "medusa"` only."""

    region_id: Annotated[str | None, _is("the region of its orders; required", "reg_01J", min_length=1)] = None
    sales_channel_id: Annotated[
        str | None, _is("the channel that they come through and that has the stock; required", "sc_01J", min_length=1)
    ] = None
    shipping_option_id: Annotated[
        str | None, _is("the option that their shipping is booked on; required", "so_01J", min_length=1)
    ] = None
    variants: Annotated[
        Path | None,
        _is(
            'a file of lines such as `"SKU-1" = "variant_01J"`, for orders whose lines name no variant', "variants.toml"
        ),
    ] = None
    look_back_days: Annotated[
        float, _is("without `unique_reference`, a look-up reads all orders made within this time", gt=0, le=365)
    ] = 3.0


class VendureSettings(Struct, frozen=True):
    """What a Vendure calls things. For `kind = "vendure"` only."""

    shipping_method: Annotated[str, _is("code of the shipping method that the orders get", min_length=1)] = "glopal"
    payment_method: Annotated[str, _is("what the payment of an order is called", min_length=1)] = "glopal"
    charges_sku: Annotated[
        str | None,
        _is("variant whose lines hold tax, duty, fees, discount and rounding", "GLOPAL-CHARGES", min_length=1),
    ] = None


class ShopifySettings(Struct, frozen=True):
    """What a Shopify store is asked by, and for how long it is waited for. For `kind = "shopify"` only."""

    api_version: Annotated[
        str,
        _is("version of the Admin API; Shopify keeps each for a year", "2026-04", pattern="^20[0-9]{2}-(01|04|07|10)$"),
    ] = "2026-04"
    search_seconds: Annotated[
        float, _is("how long after a write its search may still not show it (assumed)", gt=0, le=3600)
    ] = 60.0
    payment_pending: Annotated[bool, _is("promoted orders wait for payment instead of counting as paid")] = False


class ShopSettings(Struct, frozen=True):
    """The shop that the orders go to."""

    base_url: Annotated[
        str,
        _is("where the shop is served; http:// only on this machine", "https://shop.example.com/api", extra=_ADDRESS),
    ]
    key: Annotated[Secret, _is("what the shop knows us by; a secret", '{ file = "shop.key" }')]
    kind: Annotated[
        ShopKind,
        _is(
            "what the shop speaks: the [generic contract](../how-to/read-the-shop-contract.md) · "
            "[`medusa`](../how-to/connect-medusa.md) · "
            "[`vendure`](../how-to/connect-vendure.md) · "
            "[`shopify`](../how-to/connect-shopify.md)"
        ),
    ] = ShopKind.CONTRACT
    unique_reference: Annotated[bool, _is("the shop refuses a second order with the same reference")] = False
    settle_seconds: Annotated[float, _is("how long after a call a look-up may still not show it", gt=0, le=3600)] = 15.0
    pace: Annotated[PaceSettings, _is("how fast the shop is called")] = PaceSettings()
    medusa: Annotated[MedusaSettings, _is('more of a Medusa, for `kind = "medusa"`')] = MedusaSettings()
    vendure: Annotated[VendureSettings, _is('more of a Vendure, for `kind = "vendure"`')] = VendureSettings()
    shopify: Annotated[ShopifySettings, _is('more of a Shopify store, for `kind = "shopify"`')] = ShopifySettings()


class AgeLimitSettings(Struct, frozen=True):
    """Hours that an order may stay in a status. Then Glopal is asked; if it confirms the status, that is an exception.

    Also how long anything awaited of Glopal in that status is asked for again.
    """

    new: Annotated[float, _is("before Glopal has told a status", gt=0, le=8760)] = 24.0
    received: Annotated[float, _is("until the order is confirmed and paid, or cancelled", gt=0, le=8760)] = 24.0
    ready: Annotated[float, _is("until it is accepted", gt=0, le=8760)] = 24.0
    accepted: Annotated[float, _is("until it is completed", gt=0, le=8760)] = 168.0


class StoreSettings(Struct, frozen=True):
    """One Glopal store. Its name stands in the log and in the reference that the shop keeps; do not change it later."""

    glopal: Annotated[GlopalSettings, _is("Glopal's API for this store")]
    shop: Annotated[ShopSettings, _is("the shop that the orders go to")]
    mode: Annotated[
        Mode,
        _is(
            "`draft_on_received`: draft when received, order when ready · `order_on_received` · `create_on_ready` · "
            "`observe`: Glopal itself inserts orders; only record, and withdraw"
        ),
    ] = Mode.DRAFT_ON_RECEIVED
    environment: Annotated[str, _is("orders of another environment are held", min_length=1)] = "live"
    effects_from: Annotated[
        datetime | None,
        _is("a time with its zone; older orders are recorded only, until a `retry`", "2026-01-01T00:00:00Z", tz=True),
    ] = None
    on_refusal: Annotated[
        OnRefusal, _is("if the shop refuses an order: `exception` leaves it to a person, `cancel` cancels at Glopal")
    ] = OnRefusal.EXCEPTION
    early_accept: Annotated[
        bool, _is('accept before READY, where Glopal allows it; for `mode = "order_on_received"`')
    ] = False
    shadow: Annotated[bool, _is("plan everything, send nothing")] = False
    max_attempts: Annotated[int, _is("attempts of one effect before it waits for a person", ge=1, le=100)] = 8
    unknown_minutes: Annotated[
        float, _is("a call whose outcome nobody knows for so long is an exception", gt=0, le=1440)
    ] = 15.0
    age_limits: Annotated[AgeLimitSettings, _is("how long an order may stay in a status")] = AgeLimitSettings()
    reconcile_hours: Annotated[
        float, _is("so often every open order is compared with Glopal's and the shop's; 0 = never", ge=0, le=8760)
    ] = 24.0
    import_currency: Annotated[
        ImportCurrency, _is("orders enter the shop in the buyer's currency, or in the store's own")
    ] = ImportCurrency.ORDER
    base_currency: Annotated[
        str | None, _is('the store\'s own currency, for `import_currency = "base"`', "EUR", pattern="^[A-Z]{3}$")
    ] = None


class WindowSettings(Struct, frozen=True):
    """Seconds. The defaults fit real networks."""

    send: Annotated[float, _is("a request leaves this soon after its intent was recorded, or never", gt=0, le=600)] = (
        10.0
    )
    call: Annotated[float, _is("a call ends within this time", gt=0, le=600)] = 30.0
    get_settle: Annotated[
        float, _is("a second answer of Glopal comes so much later; longer than its GET may lag", gt=0, le=3600)
    ] = 60.0
    look_up: Annotated[float, _is("first look-up after a lost reply", gt=0, le=3600)] = 2.0
    retry: Annotated[float, _is("first pause before another attempt; grows fourfold, with jitter", gt=0, le=3600)] = 5.0
    longest: Annotated[float, _is("no pause is longer", gt=0, le=86400)] = 3600.0
    schedule: Annotated[
        tuple[Annotated[float, Meta(gt=0, le=86400)], ...],
        _is(
            "the longest pause after each try, such as [5, 30, 120, 600, 1800, 7200, 18000, 36000]; the last one goes "
            "on. Instead of `retry` and `longest`"
        ),
    ] = ()


class BreakerSettings(Struct, frozen=True):
    """When a destination counts as down, so that nobody calls it but one call that tries now and then.

    [Pacing and breakers](../explanation/pacing-and-breakers.md) says what counts.
    """

    failures: Annotated[int, _is("it opens only after so many failures", ge=1, le=10000)] = 10
    rate: Annotated[float, _is("and only if they are this share of all calls since the first one", gt=0, le=1)] = 0.7
    within: Annotated[float, _is("seconds; failures count together that long", gt=0, le=3600)] = 60.0
    first: Annotated[
        float, _is("seconds until the first call tries again; doubles each time it fails", gt=0, le=3600)
    ] = 30.0
    longest: Annotated[float, _is("seconds; no longer than that between two that try", gt=0, le=86400)] = 900.0


class SealSettings(Struct, frozen=True):
    """Seals of the logs: [prove that a log is whole](../how-to/prove-the-log.md). Off without a key.

    The same key signs the receipts of erasures.
    """

    key: Annotated[
        Secret | None,
        _is("the sealing key, a secret; `orderflow seal --new-key FILE` makes one", '{ file = "seal.key" }'),
    ] = None
    every: Annotated[float, _is("seconds between seals; what is not sealed yet can still be altered", gt=0, le=60)] = (
        60.0
    )
    folder: Annotated[
        Path | None, _is("a folder that gets one file a seal; best on another machine's disk", "/mnt/seals")
    ] = None
    command: Annotated[
        tuple[str, ...], _is("a program and its words; it gets each seal on standard input, and must end with 0")
    ] = ()
    url: Annotated[
        str | None,
        _is("each seal is sent to `PUT URL/NAME`", "https://seals.example.org/orderflow", extra=_ADDRESS),
    ] = None
    url_key: Annotated[
        Secret | None, _is("sent there as `Authorization: Bearer`; a secret", '{ env = "SEAL_URL_KEY" }')
    ] = None
    former_keys: Annotated[
        tuple[str, ...], _is("public keys of former sealing keys, so that their seals and receipts still count")
    ] = ()


class AlertRuleSettings(Struct, frozen=True):
    """One alert rule, of your own or in the place of a built-in one: [who is told](../how-to/work-the-desk.md).

    It counts exceptions, or calls if `outcomes` names some, within its window. All of its limits must be passed.
    """

    classes: Annotated[
        tuple[str, ...], _is("[classes](../explanation/exceptions.md) that count; without any, every class does")
    ] = ()
    outcomes: Annotated[
        tuple[str, ...], _is("count calls that came to one of these instead: Refused, Retry, Unknown, Unreadable")
    ] = ()
    effects: Annotated[tuple[str, ...], _is("only calls for these effects; without any, for all")] = ()
    only: Annotated[tuple[str, ...], _is("only for these stores; without any, for each")] = ()
    window_minutes: Annotated[float, _is("how far back it counts", gt=0, le=10080)] = 30.0
    at_least: Annotated[int, _is("so many of them", ge=1, le=1000000)] = 1
    orders: Annotated[int, _is("of so many different orders", ge=0, le=1000000)] = 0
    percent: Annotated[
        float, _is("more than this share of the orders with news, or of all calls, in that time", ge=0, le=100)
    ] = 0.0
    off: Annotated[bool, _is("never; switches a built-in rule off")] = False


class AlertSettings(Struct, frozen=True):
    """Who is told when exceptions or failing calls pass a limit, and when that is over.

    Nobody is told without an address or a command.
    """

    url: Annotated[
        str | None, _is("each signal is sent to `POST URL`", "https://alerts.example.org/orderflow", extra=_ADDRESS)
    ] = None
    url_key: Annotated[
        Secret | None, _is("sent there as `Authorization: Bearer`; a secret", '{ env = "ALERTS_URL_KEY" }')
    ] = None
    command: Annotated[
        tuple[str, ...], _is("a program and its words; it gets each signal on standard input, and must end with 0")
    ] = ()
    every: Annotated[float, _is("seconds between two looks", gt=0, le=3600)] = 30.0
    defaults: Annotated[bool, _is("with the built-in rules; `orderflow alerts list` shows them")] = True
    rules: Annotated[dict[str, AlertRuleSettings], _is("more rules, each by its name")] = {}


class Settings(Struct, frozen=True, kw_only=True):
    """What all stores share."""

    master_key_file: Annotated[
        Path | None,
        _is("32 bytes in base64; wraps the keys that seal personal data. Whoever loses it loses those", "master.key"),
    ] = None
    master_key: Annotated[
        Secret | None,
        _is("the same key as a secret; one of the two is required, and this one wins", '{ env = "ORDERFLOW_MASTER" }'),
    ] = None
    second_master_key: Annotated[
        Secret | None,
        _is(
            "still opens what it wrapped while the master key is rotated",
            '{ file = "former.key" }',
        ),
    ] = None
    stores: Annotated[dict[str, StoreSettings], _is("the stores, each by its name")]
    database_url: Annotated[
        str | Secret | None,
        _is(
            "PostgreSQL 15 to 18; a secret if it holds a password. Without it, orderflow runs its own below `data_dir`",
            "postgresql://orderflow@db.example.com/orderflow",
            extra={"problem": problem_of_written_database_url},
        ),
    ] = None
    data_dir: Annotated[Path, _is("where orderflow's own Postgres keeps its data")] = Path("~/.local/share/orderflow")
    vault_url: Annotated[
        str | Secret | None,
        _is(
            "a database of their own for the keys; without it they stand beside the log, in the schema orderflow_vault",
            "postgresql://orderflow@vault.example.com/keys",
            extra={"problem": problem_of_written_database_url},
        ),
    ] = None
    erasures: Annotated[
        Path | None,
        _is("the register of erasures, kept away from the database", "erasures.jsonl"),
    ] = None
    unsafe_server: Annotated[
        tuple[str, ...],
        _is(
            "of fsync, full_page_writes and synchronous_commit, what may be off in the database: a power cut loses "
            "orders, so for trials only"
        ),
    ] = ()
    workers: Annotated[
        int, _is("calls that one `orderflow work` makes at a time, beside those that hang", ge=1, le=64)
    ] = 4
    windows: Annotated[WindowSettings, _is("times of a call")] = WindowSettings()
    breaker: Annotated[BreakerSettings, _is("when a destination counts as down")] = BreakerSettings()
    seal: Annotated[SealSettings, _is("seals of the logs")] = SealSettings()
    alerts: Annotated[AlertSettings, _is("who is told of exceptions")] = AlertSettings()
