"""A faithful fake Glopal and a fake shop, with switchable faults, for demos, integrators and tests.

Standard library only, and nothing else of orderflow. Time and chance are given from outside, so the same objects run
in a simulation with virtual time (`Glopal.handle`, `Shop.handle`, `deliver`) and over real HTTP (`serve`).
"""

from orderflow.sandbox.delivery import Cut, deliver
from orderflow.sandbox.faults import KINDS, NONE, ODD_WAITS, UNCLEAR, Fault, Faults
from orderflow.sandbox.glopal import Glopal, GlopalEntry
from orderflow.sandbox.glopal.emissions import PLAIN, WITHHELD, Emission
from orderflow.sandbox.glopal.options import GlopalOptions
from orderflow.sandbox.glopal.orders import AcceptCall, CancelCall, Refund
from orderflow.sandbox.glopal.routes import ROUTE_STYLES, ROUTES
from orderflow.sandbox.glopal.switches import SWITCHES, WEBHOOK_SWITCHES, UnknownSwitch
from orderflow.sandbox.ledger import Difference, Row, compare, reference_of
from orderflow.sandbox.lives import Life, Step, lives
from orderflow.sandbox.player import Player, play
from orderflow.sandbox.server import Server, serve
from orderflow.sandbox.shop import Shop, ShopEntry, ShopOptions
from orderflow.sandbox.webhooks import WebhookOptions, Webhooks
from orderflow.sandbox.wire import App, Request, Response

__all__ = [
    "KINDS",
    "NONE",
    "ODD_WAITS",
    "PLAIN",
    "ROUTES",
    "ROUTE_STYLES",
    "SWITCHES",
    "UNCLEAR",
    "WEBHOOK_SWITCHES",
    "WITHHELD",
    "AcceptCall",
    "App",
    "CancelCall",
    "Cut",
    "Difference",
    "Emission",
    "Fault",
    "Faults",
    "Glopal",
    "GlopalEntry",
    "GlopalOptions",
    "Life",
    "Player",
    "Refund",
    "Request",
    "Response",
    "Row",
    "Server",
    "Shop",
    "ShopEntry",
    "ShopOptions",
    "Step",
    "UnknownSwitch",
    "WebhookOptions",
    "Webhooks",
    "compare",
    "deliver",
    "lives",
    "play",
    "reference_of",
    "serve",
]
