"""The GraphQL documents that play a script: what is asked before, and what creates, marks, fills and deletes a draft.

They never hold a value: those go beside them, as variables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from orderflow.connectors.vendure.order import FIELDS
from orderflow.connectors.vendure.script import Script
from orderflow.glopal.jsontext import Json

_TOGETHER: Final = 20
"""Lines added in one call: an order of many is made in several, each of them in time."""

BEFORE: Final = f"""
query ($reference: String!, $skus: [String!]!, $method: String!, $email: String!) {{
  taken: orders(options: {{filter: {{glopalReference: {{eq: $reference}}}}}}) {{ items {{ {FIELDS} }} }}
  variants: productVariants(options: {{filter: {{sku: {{in: $skus}}}}}}) {{ items {{ id sku }} }}
  methods: shippingMethods(options: {{filter: {{code: {{eq: $method}}}}}}) {{ items {{ id code }} }}
  customers: customers(options: {{filter: {{emailAddress: {{eq: $email}}}}}}) {{ items {{ id emailAddress }} }}
}}"""
"""Everything that must be known, and nothing changed yet."""

CREATE: Final = "mutation { done: createDraftOrder { id } }"
MARK: Final = """
mutation ($order: ID!, $input: UpdateOrderInput!) {
  done: setDraftOrderCustomFields(orderId: $order, input: $input) { id }
}"""
RENAME: Final = "mutation ($input: UpdateOrderInput!) { done: setOrderCustomFields(input: $input) { id } }"

DELETE: Final = "mutation ($order: ID!) { done: deleteDraftOrder(orderId: $order) { result } }"

_DONE: Final = "{ __typename ... on ErrorResult { errorCode } }"
_LAST: Final = f"{{ __typename ... on ErrorResult {{ errorCode }} ... on Order {{ {FIELDS} }} }}"


@dataclass(frozen=True, slots=True)
class Ids:
    """What the shop calls the variants, by SKU, the shipping method, and the buyer, if it knows them."""

    variants: Mapping[str, str]
    method: str
    customer: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Step:
    """One mutation in a document, with its variables beside `$order`: type and value by name."""

    alias: str
    call: str
    variables: Mapping[str, tuple[str, Json]]
    shows: str = _DONE


def filling(draft: Script, order_id: str, ids: Ids) -> Iterator[tuple[str, dict[str, Json]]]:
    """The documents that fill a marked draft, in their order; the last field of the last one, `method`, shows it.

    Vendure answers `data: null` and stops at a field that throws; it goes on after a field that refuses.
    """
    steps = [_buyer(draft, ids), _place("Shipping", draft.shipping)]
    if draft.billing is not None:
        steps.append(_place("Billing", draft.billing))
    steps += [_line(number, ids.variants[sku], item) for number, (sku, item) in enumerate(draft.lines)]
    method = "setDraftOrderShippingMethod(orderId: $order, shippingMethodId: $method)"
    steps.append(_Step("method", method, {"method": ("ID!", ids.method)}, _LAST))
    for start in range(0, len(steps), _TOGETHER):
        yield _document(order_id, steps[start : start + _TOGETHER])


def _buyer(draft: Script, ids: Ids) -> _Step:
    """A buyer with an account is taken as they are: Vendure refuses to write over them."""
    if ids.customer is not None:
        call = "setCustomerForDraftOrder(orderId: $order, customerId: $customer)"
        return _Step("customer", call, {"customer": ("ID!", ids.customer)})
    call = "setCustomerForDraftOrder(orderId: $order, input: $customer)"
    return _Step("customer", call, {"customer": ("CreateCustomerInput!", draft.customer)})


def _place(kind: str, address: Mapping[str, Json]) -> _Step:
    name = kind.lower()
    call = f"setDraftOrder{kind}Address(orderId: $order, input: ${name})"
    return _Step(name, call, {name: ("CreateAddressInput!", address)}, "{ id }")


def _line(number: int, variant: str, item: Mapping[str, Json]) -> _Step:
    name = f"line{number}"
    call = f"addItemToDraftOrder(orderId: $order, input: ${name})"
    return _Step(name, call, {name: ("AddItemToDraftOrderInput!", {"productVariantId": variant, **item})})


def _document(order_id: str, steps: list[_Step]) -> tuple[str, dict[str, Json]]:
    known = {name: one for step in steps for name, one in step.variables.items()}
    types = ", ".join(["$order: ID!", *(f"${name}: {kind}" for name, (kind, _) in known.items())])
    fields = "\n".join(f"  {step.alias}: {step.call} {step.shows}" for step in steps)
    values: dict[str, Json] = {name: value for name, (_, value) in known.items()}
    return f"mutation ({types}) {{\n{fields}\n}}", {"order": order_id, **values}
