"""Bad input as data: what a GET of an order may answer, and what must come of that order."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from orderflow.glopal.jsontext import canonical

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BadDetails:
    """An answer made out of good details. `becomes`:

    malformed, unmapped, money, environment: the order is held for that reason, and `told` stands in it; taken: it goes
    its way to ACCEPTED as if nothing were the matter; waits: it is not confirmed and gets nothing.
    """

    name: str
    family: str
    make: Callable[[Document], bytes]
    becomes: str
    told: str
    why: str


def _but(**members: Any) -> Callable[[Document], bytes]:
    """The details with these members; Ellipsis leaves one out."""

    def made(details: Document) -> bytes:
        return canonical({name: value for name, value in (details | members).items() if value is not ...})

    return made


def _raw(text: str | bytes, **members: Any) -> Callable[[Document], bytes]:
    """The details with these members, and raw bytes put behind them."""
    extra = text.encode() if isinstance(text, str) else text
    return lambda details: _but(**members)(details)[:-1] + b"," + extra + b"}"


def _totals(**members: Any) -> Callable[[Document], bytes]:
    return lambda details: _but(totals=details["totals"] | members)(details)


def _total(text: str) -> Callable[[Document], bytes]:
    """With these bytes for the total."""
    return lambda details: _totals(total="HERE")(details).replace(b'"HERE"', text.encode())


def _one_line(
    price: Any, total: Any, currency: str = "EUR", quantity: Any = 1, **line: Any
) -> Callable[[Document], bytes]:
    """One line and a total, nothing else."""
    item = {"sku": "MUG-01", "name": "Mug", "quantity": quantity, "unit_price": price, **line}
    return _but(items=[item], currency=currency, totals={"total": total}, shipping={"method": "standard"})


def _person(**members: Any) -> Callable[[Document], bytes]:
    """A customer and an address with these members."""
    return lambda details: _but(
        customer=details["customer"] | members, shipping_address=details["shipping_address"] | members
    )(details)


def _shape(name: str, make: Callable[[Document], bytes], becomes: str, told: str, why: str) -> BadDetails:
    return BadDetails(name, "shape", make, becomes, told, why)


def _money(name: str, make: Callable[[Document], bytes], becomes: str, told: str, why: str) -> BadDetails:
    return BadDetails(name, "money", make, becomes, told, why)


def _time(name: str, at: Any, becomes: str, told: str, why: str) -> BadDetails:
    return BadDetails(name, "time", _but(created_at=at), becomes, told, why)


def _text(name: str, make: Callable[[Document], bytes], becomes: str, told: str, why: str) -> BadDetails:
    return BadDetails(name, "text", make, becomes, told, why)


def _state(name: str, make: Callable[[Document], bytes], becomes: str, told: str, why: str) -> BadDetails:
    return BadDetails(name, "state", make, becomes, told, why)


DETAILS = [
    _shape("empty", lambda _: b"", "malformed", "the details are not JSON", "a proxy that gave up"),
    _shape("html", lambda _: b"<html>", "malformed", "the details are not JSON", "200 from a maintenance page"),
    _shape("array", lambda d: b"[" + canonical(d) + b"]", "malformed", "the details are no object", "a list of one"),
    _shape("null", lambda _: b"null", "malformed", "the details are no object", "no such row"),
    _shape("nulls", lambda d: canonical(dict.fromkeys(d)), "malformed", "id is missing", "an outer join"),
    _shape("two", lambda d: canonical(d) * 2, "malformed", "the details are not JSON", "one answer behind the other"),
    _shape("truncated", lambda d: canonical(d)[:-20], "malformed", "the details are not JSON", "cut off"),
    _shape("comment", lambda d: canonical(d) + b"/**/", "malformed", "the details are not JSON", "JSON5"),
    _shape("utf-16", lambda d: canonical(d).decode().encode("utf-16"), "malformed", "not UTF-8", "an export"),
    _shape("gzip", lambda d: gzip.compress(canonical(d)), "malformed", "not UTF-8", "compressed, and not said so"),
    _shape("bom", lambda d: b"\xef\xbb\xbf" + canonical(d), "taken", "", "Windows"),
    _shape("nan", _raw('"x":NaN'), "malformed", "the details are not JSON", "Python's own"),
    _shape("5000-digits", _raw('"x":' + "9" * 5000), "malformed", "the details are not JSON", "Python refuses it"),
    _shape(
        "exponent", _raw('"x":1e99999999999999999999'), "malformed", "the details are not JSON", "Decimal refuses it"
    ),
    _shape("depth-64", _raw('"x":' + "[" * 63 + "]" * 63), "taken", "", "as deep as anybody may nest"),
    _shape("depth-65", _raw('"x":' + "[" * 64 + "]" * 64), "malformed", "nested too deeply", "one too many"),
    _shape("depth-100000", _raw('"x":' + "[" * 100_000 + "]" * 100_000), "malformed", "nested too deeply", "the stack"),
    _shape("id-twice", _raw('"id":"8-8"'), "malformed", "`id` stands twice", "whose order is it?"),
    _shape("status-twice", _raw('"status":"CANCELLED"'), "malformed", "`status` stands twice", "does it live?"),
    _shape(
        "odd-name-twice", _raw('"\\u0000":1,"\\u0000":2'), "malformed", "a name stands twice", "and cannot be shown"
    ),
    _shape("other-case", _but(status=..., Status="READY"), "malformed", "status is missing", "names have one case"),
    _shape("homoglyph", _raw('"\u0455tatus":"READY"', status=...), "malformed", "status is missing", "Cyrillic"),
    _shape("number-for-id", _but(id=7), "malformed", "id is no text", '1 for "1"'),
    _shape("other-id", _but(id="8-8"), "malformed", "id is another order's", "a cache that mixes its keys up"),
    _shape("items-object", lambda d: _but(items={"0": d["items"][0]})(d), "unmapped", "items", "PHP's idea of a list"),
    _shape("million-items", _but(items=[0] * 1_000_000), "unmapped", "items", "hours of work, gigabytes of complaints"),
    _shape("2-MB-note", _but(customer_note="a" * 2_000_000), "taken", "", "somebody pasted a picture"),
    _shape("proto", _raw('"__proto__":{"status":"CANCELLED"},"__class__":"os"'), "taken", "", "pollution elsewhere"),
    _shape("external-list", _but(external=[]), "malformed", "external is no object", "PHP's idea of an empty object"),
    _shape("external-number", _but(external={"order_id": 17}), "malformed", "external.order_id is no text", "not none"),
    _shape("no-items", _but(items=[]), "unmapped", "items", "nothing was bought"),
    # ---- money
    _money("negative-total", _one_line(-5, -5), "money", "the total is negative", "a refund?"),
    _money(
        "negative-price",
        _but(
            items=[{"sku": "A", "quantity": 1, "unit_price": 9}, {"sku": "B", "quantity": 1, "unit_price": -4}],
            totals={"total": 5},
            shipping={},
        ),
        "money",
        "the price of line 1 is negative",
        "a discount in disguise: shops refuse it, or pay it out",
    ),
    _money("all-zero", _one_line(0, 0), "taken", "", "a replacement, sent for nothing"),
    _money("minus-zero", _one_line(Decimal("-0.00"), Decimal("-0.00")), "taken", "", "is zero"),
    _money("a-third", _one_line(Decimal("0.1"), Decimal("0.30000000000000004"), quantity=3), "taken", "", "0.1+0.2"),
    _money(
        "3-decimals-yen", _one_line(Decimal("100.005"), Decimal("100.005"), "JPY"), "taken", "", "handed on exactly"
    ),
    _money("no-decimals-dinar", _one_line(12, 12, "KWD"), "taken", "", "12 is 12.000"),
    _money("10-to-15", _one_line(10**15, 10**15), "taken", "", "more than a float has digits for"),
    _money("19-digits", _one_line(Decimal("19.990000000000000001"), Decimal("19.99")), "taken", "", "exact, or 19.99?"),
    _money("40-digits", _one_line(10**40, 10**40), "unmapped", "totals.total", "no currency has so many"),
    _money("nan-text", _totals(total="NaN"), "unmapped", "totals.total", "Decimal reads it"),
    _money("comma", _totals(total="1,50"), "unmapped", "totals.total", "1.50 or 150?"),
    _money("underscore", _totals(total="1_000"), "unmapped", "totals.total", "Decimal reads it"),
    _money("blank", _totals(total=" 5 "), "unmapped", "totals.total", "Decimal reads it"),
    _money("arabic", _totals(total="\u0661\u0662"), "unmapped", "totals.total", "Decimal reads it"),
    _money("1e400", _total("1e400"), "unmapped", "totals.total", "infinite for floats"),
    _money("1e-400", _total("1e-400"), "unmapped", "totals.total", "zero for floats"),
    _money("true", _totals(total=True), "unmapped", "totals.total", "True is 1 in Python"),
    _money("list", _totals(total=[5]), "unmapped", "totals.total", "a list of one"),
    _money("no-total", _totals(total=None), "unmapped", "totals.total", "not guessed"),
    _money("tax-word", _totals(tax="free"), "unmapped", "totals.tax", "there, and no amount: not taken for zero"),
    _money("quantity-0", _one_line(5, 0, quantity=0), "unmapped", "items[0].quantity", "nothing of it"),
    _money("quantity-negative", _one_line(5, -5, quantity=-1), "unmapped", "items[0].quantity", "one back"),
    _money("quantity-half", _one_line(5, 5, quantity=Decimal("1.5")), "unmapped", "items[0].quantity", "cut cheese"),
    _money("quantity-text", _one_line(5, 10, quantity="2"), "taken", "", '"2" is 2'),
    _money("one-cent", _one_line(Decimal("9.99"), 10), "taken", "", "rounding, tolerated"),
    _money("two-cents", _one_line(Decimal("9.98"), 10), "money", "lines 9.98 make 9.98 EUR, but the total is 10", "no"),
    _money("lower-case", _but(currency="eur"), "malformed", "currency is no ISO 4217 code", "never guessed"),
    _money("unknown-currency", _one_line(5, 5, "XYZ"), "taken", "", "three letters; the shop knows, or refuses"),
    _money(
        "long-currency", _but(currency="EUR" * 3000), "malformed", "currency has more than 200", "breaks every table"
    ),
    _money("line-currency", _one_line(5, 5, line_currency="USD"), "taken", "", "not mapped, not read"),
    _money("rate-0", _but(exchange_rates={"USD": {"rate": 0}}), "taken", "", "nothing is converted"),
    _money("rate-negative", _but(exchange_rates={"USD": {"rate": -1}}), "taken", "", "nothing is converted"),
    _money("rate-long", _but(exchange_rates={"USD": {"rate": Decimal("1.1234567891")}}), "taken", "", "as rate 0"),
    _money("no-rates", _but(exchange_rates=...), "taken", "", "as rate 0"),
    # ---- time
    _time("epoch", "1970-01-01T00:00:00Z", "taken", "", "somebody's zero"),
    _time("year-9999", "9999-12-31T23:59:59Z", "taken", "", "not taken for a time: see the events"),
    _time("year-10000", "10000-01-01T00:00:00Z", "taken", "", "five digits"),
    _time("leap-second", "2016-12-31T23:59:60Z", "taken", "", "it was, and no library knows it"),
    _time("kiritimati", "2026-01-01T00:00:00+14:00", "taken", "", "more than twelve hours"),
    _time("no-zone", "2026-01-01T00:00:00", "taken", "", "whose midnight?"),
    _time("tomorrow", "2999-01-01T00:00:00Z", "taken", "", "created after completed"),
    _time("milliseconds", 1767225600000, "malformed", "created_at is no text", "ms for ISO"),
    # ---- text
    _text("right-to-left", _person(first_name="\u202eada"), "taken", "", "turns the line around"),
    _text("ansi", _person(last_name="\x1b[2J\x1b[31m"), "taken", "", "clears a screen"),
    _text("10-kB-name", _person(first_name="x" * 10_000), "taken", "", "the shop decides what it takes"),
    _text("flags", _person(city="🇩🇪🏳️‍🌈👩‍👩‍👧"), "taken", "", "one letter for people, seven for programs"),
    _text("combining", _person(city="Z" + "\u0301" * 500), "taken", "", "one letter, 500 accents"),
    _text("crlf", _but(customer_note="ring\r\nX-Admin: 1\r\n\r\n"), "taken", "", "a header of its own"),
    _text("template", _but(customer_note="{{7*7}}${7*7}"), "taken", "", "49 for template engines"),
    _text("formula", _but(customer_note="=cmd|' /C calc'!A0"), "taken", "", "runs in spreadsheets"),
    _text("script", _but(customer_note="<script>alert(1)</script>"), "taken", "", "runs in browsers"),
    _text("percent", _but(customer_note="%s%n{0}%(x)s"), "taken", "", "runs in format strings"),
    _text("quoted-mail", _person(email='"a b\\"@c"@example.com'), "taken", "", "is a good address"),
    _text("nul-name", _person(first_name="\0\0\0"), "taken", "", "the shop gets it as it is, Postgres never"),
    _text("surrogate", _person(first_name="\ud800"), "taken", "", "no UTF-8 can hold it: escaped all the way"),
    _text("latin-1", _raw(b'"city":"M\xfcnchen"'), "malformed", "not UTF-8", "the same address in two character sets"),
    _text("ansi-status", _but(status="\x1b[31mREADY"), "malformed", "status has characters", "clears a screen"),
    _text(
        "ansi-environment", _but(environment="\x1b[2J"), "malformed", "environment has characters", "clears a screen"
    ),
    _text(
        "crlf-id", _but(external={"order_id": "a\r\nb"}), "malformed", "external.order_id has characters", "a header"
    ),
    _text("markup-environment", _but(environment="[/red]"), "environment", "[/red] order in a live store", "a style"),
    # ---- state
    _state("test-order", _but(environment="test"), "environment", "test order in a live store", "nobody pays for it"),
    _state("no-environment", _but(environment=None), "taken", "", "not told: nothing to compare"),
    _state("unknown-status", _but(status="REVIEWING"), "waits", "", "the set of statuses is open"),
    _state("lower-case-status", _but(status="ready"), "waits", "", "is not READY"),
    _state("new-status", _but(status="NEW"), "waits", "", "our own word, not Glopal's"),
    _state("regress", _but(status="RECEIVED"), "waits", "", "less than the event said: the GET lags, or lies"),
]
