"""Makes the template of a request body out of its description: which member takes which of our values.

It never guesses: a member that must be there and has no known name is an error that names it.

The names a member may have, in any spelling (`order_id`, `orderId`, `Order-ID`), stand in `NAMES`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from typing import Final

from orderflow.glopal.description.openapi import DescriptionError, Document, constant, types
from orderflow.glopal.jsontext import Json, canonical
from orderflow.glopal.routes import AMOUNTS, MAY_LACK, Reasons

_ORDER_ID: Final = (
    "order_id",
    "external_order_id",
    "merchant_order_id",
    "store_order_id",
    "shop_order_id",
    "platform_order_id",
    "external_id",
    "id",
)
_NUMBER: Final = (
    "order_number",
    "external_order_number",
    "merchant_order_number",
    "store_order_number",
    "shop_order_number",
    "external_number",
    "number",
    "order_reference",
    "merchant_reference",
    "external_reference",
    "reference",
)
_REASON: Final = ("reason", "reason_code", "cancel_reason", "cancellation_reason", "refund_reason")
_AMOUNT: Final = ("amount", "refund_amount", "value", "total", "refund_total")
_OURS: Final = {"store_id": ("store_id", "store"), "order_id": ("glopal_order_id", "glopal_id")}
_GLOPALS: Final = ("glopal_amount", "glopal_share", "glopal_liability", "glopal_refund_amount")
_MERCHANTS: Final = ("merchant_amount", "merchant_share", "merchant_liability", "merchant_refund_amount")
_MONEY: Final = {
    "amount": _AMOUNT,
    "currency": ("currency", "currency_code"),
    "reason": _REASON,
    "glopal_amount": _GLOPALS,
    "merchant_amount": _MERCHANTS,
    "claim": ("claim", "claim_reason", "claim_type"),
}

NAMES: Final[Dict[str, Dict[str, tuple[str, ...]]]] = {
    "accept": {"ids.order_id": _ORDER_ID, "ids.number": _NUMBER, **_OURS},
    "cancel": {"reason": _REASON, **_OURS, "order_id": (*_OURS["order_id"], "order_id")},
    "refund": {**_MONEY, **_OURS, "order_id": (*_OURS["order_id"], "order_id")},
    "quote": {**_MONEY, **_OURS, "order_id": (*_OURS["order_id"], "order_id")},
}
"""By operation and value: what a member that takes the value may be called."""

_NEEDED: Final = {"accept": "ids.order_id", "refund": "amount", "quote": "amount"}
_WANTED: Final = {"accept": ("ids.number",), "cancel": ("reason",), "refund": ("reason",)}
_DEEPEST: Final = 6


def squeezed(name: str) -> str:
    """A name without its spelling: `orderId`, `order_id` and `Order-ID` are the same."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@dataclass(frozen=True, slots=True)
class Template:
    """A body as `Route.body` holds it; None where the description shows no members."""

    body: Json
    reasons: Reasons | None
    notes: tuple[str, ...]


def template(document: Document, schema: Dict[str, Json], operation: str) -> Template:
    """The body that this schema asks for. Raises `DescriptionError` naming members and setting."""
    key = f"routes.{operation}.body"
    work = _Work(document, {squeezed(name): value for value, names in NAMES[operation].items() for name in names})
    body = work.value("", schema, "", required=True, left=_DEEPEST)
    if work.lacking:
        raise DescriptionError(
            f"{key}: the description asks for {', '.join(work.lacking)}, and nothing that orderflow knows goes by that "
            f"name; give the body yourself, as in {key} = {_shown(body, work.lacking)}"
        )
    needed = _NEEDED.get(operation)
    if body is not None and needed is not None and needed not in work.used:
        raise DescriptionError(
            f"{key}: no member that the description shows takes {{{needed}}}; give the body yourself, as in "
            f'{key} = {{ name = "{{{needed}}}" }}'
        )
    for value in _WANTED.get(operation, ()):
        if value not in work.used:
            work.notes.append(f"no member of the body takes {{{value}}}: it is not handed over")
    return Template(body, work.reasons, tuple(work.notes) if body is not None else ())


@dataclass(slots=True)
class _Work:
    document: Document
    names: Dict[str, str]
    used: dict[str, str] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reasons: Reasons | None = None

    def value(self, name: str, schema: Dict[str, Json], path: str, *, required: bool, left: int) -> Json:
        """What stands in the place of one member; None to leave it out."""
        if not left:
            raise DescriptionError("nested too deeply, or in a circle")
        for kind in ("oneOf", "anyOf"):
            if isinstance(schema.get(kind), list):
                return self._any(name, schema, kind, path, required=required, left=left)
        properties, needed = self.document.members(schema)
        if properties:
            return self._object(properties, needed, path, required=required, left=left)
        target = self.names.get(squeezed(name))
        if target in MAY_LACK and (required or types(schema) & {"boolean", "integer"}):
            target = None
        if target is not None and not types(schema) & {"object", "array"}:
            return self._hole(target, schema, path, required=required)
        if not required or not name:
            return None
        if (only := constant(schema)) is not None:
            return only
        if schema.get("default") is not None:
            self.notes.append(f"{path} is always its default")
            return schema["default"]
        self.lacking.append(path)
        return None

    def _object(
        self, properties: Dict[str, Dict[str, Json]], needed: frozenset[str], path: str, *, required: bool, left: int
    ) -> Json:
        """An object; one that may be left out is, if none of our values goes into it."""
        used, lacking = len(self.used), len(self.lacking)
        members: dict[str, Json] = {}
        for name, schema in properties.items():
            if schema.get("readOnly") is not True:
                place = f"{path}.{name}" if path else name
                found = self.value(name, schema, place, required=name in needed, left=left - 1)
                members |= {} if found is None else {name: found}
        if not required and len(self.used) == used:
            del self.lacking[lacking:]
            return None
        return members

    def _any(self, name: str, schema: Dict[str, Json], kind: str, path: str, *, required: bool, left: int) -> Json:
        """The first of several forms that can be filled: the description takes each of them."""
        forms = schema[kind]
        assert isinstance(forms, list)  # asked before
        shared = {key: value for key, value in schema.items() if key != kind}
        problems: list[str] = []
        for form in forms:
            whole = {"allOf": [shared, form], **self.document.resolved(form)} if "properties" in shared else form
            one = self.document.resolved(whole)
            if one.get("type") == "null":
                continue
            before = (dict(self.used), list(self.lacking), list(self.notes))
            found = self.value(name, one, path, required=required, left=left - 1)
            if len(self.lacking) == len(before[1]) and found is not None:
                return found
            problems += self.lacking[len(before[1]) :]
            self.used, self.lacking, self.notes = before
        self.lacking += dict.fromkeys(problems)
        return None

    def _hole(self, target: str, schema: Dict[str, Json], path: str, *, required: bool) -> Json:
        """The placeholder of one of our values, if the member can hold it."""
        if target in self.used:
            raise DescriptionError(
                f"both {self.used[target]} and {path} could take {{{target}}}; give the body yourself in the settings"
            )
        self.used[target] = path
        kinds = types(schema)
        if target in AMOUNTS:
            if kinds == {"integer"}:
                raise DescriptionError(f"{path} is a whole number, in a unit nobody names; give the body yourself")
            return f"{{{target}_text}}" if kinds == {"string"} else f"{{{target}}}"
        if kinds and "string" not in kinds:
            raise DescriptionError(f"{path} is no text, but {{{target}}} is one; give the body yourself")
        longest = schema.get("maxLength")
        if isinstance(longest, int):
            self.notes.append(f"{path} takes at most {longest} characters")
        words = schema.get("enum")
        if target == "reason" and isinstance(words, list):
            self.reasons = Reasons(tuple(word for word in words if isinstance(word, str)), required)
        return f"{{{target}}}"


def _shown(body: Json, lacking: list[str]) -> str:
    """The body as it could stand in a settings file, with dots for what is to be filled in."""
    whole: dict[str, Json] = {**body} if isinstance(body, Dict) else {}
    for path in lacking:
        *above, name = path.split(".")
        inner = whole
        for one in above:
            found = inner.get(one)
            inner[one] = deeper = dict(found) if isinstance(found, Dict) else {}
            inner = deeper
        inner[name] = "..."
    return _toml(whole)


def _toml(value: Json) -> str:
    if isinstance(value, Dict):
        return "{ " + ", ".join(f"{name} = {_toml(member)}" for name, member in value.items()) + " }"
    return canonical(value).decode("ascii")
