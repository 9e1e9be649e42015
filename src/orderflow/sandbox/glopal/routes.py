"""The addresses of the fake Glopal: one table of operations by style, since four of the six are not public.

No style is Glopal's for certain; only the two GETs of the first are seen in its samples (reference 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

Routes: TypeAlias = Mapping[str, tuple[str, str]]  # operation -> method, path
RouteStyle: TypeAlias = Literal["post", "put", "nouns"]

_ORDER: Final = "/v2/orders/{store}/{order}"
_READS: Final[Routes] = {"events": ("GET", "/v2/events/{store}"), "order": ("GET", _ORDER)}  # SAMPLE

ROUTES: Final[Routes] = {  # the four POSTs are ASSUMED
    **_READS,
    "accept": ("POST", f"{_ORDER}/accept"),
    "cancel": ("POST", f"{_ORDER}/cancel"),
    "refund": ("POST", f"{_ORDER}/refund"),
    "quote": ("POST", f"{_ORDER}/refund/quote"),
}
ROUTE_STYLES: Final[Mapping[RouteStyle, Routes]] = {
    "post": ROUTES,
    "put": {name: ("PUT" if method == "POST" else method, path) for name, (method, path) in ROUTES.items()},
    "nouns": {
        **_READS,
        "accept": ("PUT", f"{_ORDER}/acceptance"),
        "cancel": ("PUT", f"{_ORDER}/cancellation"),
        "refund": ("POST", f"{_ORDER}/refunds"),
        "quote": ("POST", f"{_ORDER}/quote_refund"),
    },
}


def routes_of(style: RouteStyle | Routes) -> Routes:
    """The table of that style, or the table itself."""
    return ROUTE_STYLES[style] if isinstance(style, str) else style
