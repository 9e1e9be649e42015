"""The settings that there are: their names, types, limits, defaults and what each is for.

It never reads anything. The reference page, `config example` and messages about mistakes are made from here.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from orderflow.config.addresses import problem_of_address, problem_of_written_database_url
from orderflow.config.secret import Secret
from orderflow.domain.policy import ImportCurrency, Mode, OnRefusal

ADDRESS: Final = {"problem": problem_of_address}


class GlopalSettings(Struct, frozen=True):
    """Glopal's API for one store."""

    base_url: Annotated[
        str, Meta(description="Glopal's address, https://...; http:// only on this machine", extra=ADDRESS)
    ]
    key: Annotated[Secret, Meta(description="the API key, a secret")]
    store_id: Annotated[
        str | None, Meta(min_length=1, description="Glopal's name of the store; else the same name")
    ] = None
    events: Annotated[
        tuple[str, ...], Meta(description="names of the events to ask for; an empty list asks for all")
    ] = (
        "order.received",
        "order.ready",
        "order.accepted",
        "order.completed",
        "order.cancelled",
        "return.requested",
        "return.authorized",
        "return.cancelled",
    )
    page_size: Annotated[int, Meta(ge=1, le=1000, description="events a page")] = 100
    poll_seconds: Annotated[float, Meta(gt=0, le=3600, description="pause when nothing is new")] = 5.0
    trailing_minutes: Annotated[float, Meta(gt=0, le=43200, description="how far back late events are looked for")] = (
        15.0
    )
    settle_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="how long after a call Glopal's GET may still not show it (assumed)")
    ] = 60.0
    openapi: Annotated[Path | None, Meta(description="Glopal's own API description, to read the routes from")] = None
    routes: Annotated[
        dict[str, Any], Meta(description="overrides of single addresses and bodies (glopal-assumptions.md)")
    ] = {}
    mapping: Annotated[Path | None, Meta(description="a TOML file that says where things stand in order details")] = (
        None
    )


class ShopSettings(Struct, frozen=True):
    """A shop that speaks the generic contract (docs/how-to/read-the-shop-contract.md)."""

    base_url: Annotated[
        str, Meta(description="where the contract is served, https://...; http:// only on this machine", extra=ADDRESS)
    ]
    key: Annotated[Secret, Meta(description="sent as Authorization: Bearer; a secret")]
    unique_reference: Annotated[bool, Meta(description="the shop refuses a second order with the same reference")] = (
        False
    )
    settle_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="how long after a call a look-up may still not show it")
    ] = 15.0


class StoreSettings(Struct, frozen=True):
    """One Glopal store and the shop that its orders go to."""

    glopal: Annotated[GlopalSettings, Meta(description="Glopal's API for this store")]
    shop: Annotated[ShopSettings, Meta(description="the shop that the orders go to")]
    mode: Annotated[
        Mode,
        Meta(
            description="when orders enter the shop: a draft when received and an order when ready, an order when "
            "received, an order when ready, or never by us (observe: Glopal inserts them; only record, and withdraw)"
        ),
    ] = Mode.DRAFT_ON_RECEIVED
    environment: Annotated[str, Meta(min_length=1, description="orders of another environment are held")] = "live"
    effects_from: Annotated[
        datetime | None, Meta(tz=True, description="older orders are recorded, and get effects only by `retry`")
    ] = None
    on_refusal: Annotated[
        OnRefusal,
        Meta(description="if the shop refuses an order: exception leaves it to a person, cancel cancels at Glopal"),
    ] = OnRefusal.EXCEPTION
    early_accept: Annotated[bool, Meta(description="accept before READY, where Glopal allows it")] = False
    shadow: Annotated[bool, Meta(description="plan everything, send nothing")] = False
    max_attempts: Annotated[
        int, Meta(ge=1, le=100, description="attempts of an effect before it waits for a person")
    ] = 8
    import_currency: Annotated[
        ImportCurrency, Meta(description="orders enter the shop in their own currency, or in the store's")
    ] = ImportCurrency.ORDER
    base_currency: Annotated[
        str | None,
        Meta(
            pattern="^[A-Z]{3}$", examples=["EUR"], description="the store's own currency, for import_currency = base"
        ),
    ] = None


class WindowSettings(Struct, frozen=True):
    """Times of a call, in seconds. The defaults fit real networks."""

    send: Annotated[
        float, Meta(gt=0, le=600, description="a request leaves this soon after its intent was recorded, or never")
    ] = 10.0
    call: Annotated[float, Meta(gt=0, le=600, description="a call ends within this time")] = 30.0
    get_settle: Annotated[
        float,
        Meta(gt=0, le=3600, description="a second answer of Glopal comes so much later; longer than its GET may lag"),
    ] = 60.0
    look_up: Annotated[float, Meta(gt=0, le=3600, description="first look-up after a lost reply")] = 2.0
    retry: Annotated[
        float, Meta(gt=0, le=3600, description="first pause before another attempt; grows fourfold, with jitter")
    ] = 5.0
    longest: Annotated[float, Meta(gt=0, le=86400, description="no pause is longer")] = 3600.0


class Settings(Struct, frozen=True):
    """Everything. Without `database_url` orderflow runs its own Postgres under `data_dir`."""

    stores: Annotated[dict[str, StoreSettings], Meta(description="the stores, each by its name")]
    master_key_file: Annotated[
        Path,
        Meta(
            description="32 bytes in base64 that wrap the keys which seal personal data; whoever loses it loses those"
        ),
    ]
    database_url: Annotated[
        str | Secret | None,
        Meta(
            description="PostgreSQL 15 to 18, postgresql://...; with a password in it, a secret. Without it, orderflow "
            "runs its own below data_dir",
            extra={"problem": problem_of_written_database_url},
        ),
    ] = None
    data_dir: Annotated[Path, Meta(description="where orderflow's own Postgres keeps its data")] = Path(
        "~/.local/share/orderflow"
    )
    workers: Annotated[int, Meta(ge=1, le=64, description="calls that one `orderflow work` makes at a time")] = 4
    windows: Annotated[WindowSettings, Meta(description="times of a call")] = WindowSettings()
