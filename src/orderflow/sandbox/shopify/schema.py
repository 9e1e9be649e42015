"""The part of Shopify's Admin schema that the fake knows, and what is wrong with a request that breaks it.

It never lets a field, an argument or a member of an input through that is not named here; nor does the real one.
Names and types are STATED in Shopify's reference, version 2026-04.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from orderflow.sandbox.shopify.graphql import Field, Fragment, Invalid, Operation, Selection, Variable
from orderflow.sandbox.wire import decimal_of

SCALAR: Final = ""
_MONEY: Final = {"amount": SCALAR, "currencyCode": SCALAR}
_ERROR: Final = {"field": SCALAR, "message": SCALAR}
_PAGE: Final = {"hasNextPage": SCALAR, "endCursor": SCALAR}
_ROW: Final = {
    "__typename": SCALAR,
    "id": SCALAR,
    "name": SCALAR,
    "createdAt": SCALAR,
    "tags": SCALAR,
    "customAttributes": "Attribute",
    "totalPriceSet": "MoneyBag",
}

TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "QueryRoot": {
        "draftOrder": "DraftOrder",
        "draftOrders": "DraftOrderConnection",
        "job": "Job",
        "node": "Node",
        "nodes": "Node",
        "order": "Order",
        "orders": "OrderConnection",
    },
    "Mutation": {
        "draftOrderComplete": "DraftOrderPayload",
        "draftOrderCreate": "DraftOrderPayload",
        "draftOrderDelete": "DraftOrderDeletePayload",
        "orderCancel": "OrderCancelPayload",
    },
    "Attribute": {"key": SCALAR, "value": SCALAR},
    "DraftOrder": _ROW
    | {
        "completedAt": SCALAR,
        "lineItems": "DraftOrderLineItemConnection",
        "order": "Order",
        "ready": SCALAR,
        "status": SCALAR,
        "taxExempt": SCALAR,
    },
    "DraftOrderConnection": {"nodes": "DraftOrder", "pageInfo": "PageInfo"},
    "DraftOrderDeletePayload": {"deletedId": SCALAR, "userErrors": "UserError"},
    "DraftOrderLineItem": {
        "title": SCALAR,
        "sku": SCALAR,
        "quantity": SCALAR,
        "customAttributes": "Attribute",
        "originalUnitPriceSet": "MoneyBag",
    },
    "DraftOrderLineItemConnection": {"nodes": "DraftOrderLineItem", "pageInfo": "PageInfo"},
    "DraftOrderPayload": {"draftOrder": "DraftOrder", "userErrors": "UserError"},
    "Job": {"id": SCALAR, "done": SCALAR},
    "MoneyBag": {"presentmentMoney": "MoneyV2", "shopMoney": "MoneyV2"},
    "MoneyV2": _MONEY,
    "Node": {"__typename": SCALAR, "id": SCALAR},
    "Order": _ROW
    | {
        "cancelledAt": SCALAR,
        "displayFinancialStatus": SCALAR,
        "displayFulfillmentStatus": SCALAR,
        "lineItems": "DraftOrderLineItemConnection",
    },
    "OrderCancelPayload": {"job": "Job", "orderCancelUserErrors": "OrderCancelUserError"},
    "OrderCancelUserError": _ERROR | {"code": SCALAR},
    "OrderConnection": {"nodes": "Order", "pageInfo": "PageInfo"},
    "PageInfo": _PAGE,
    "UserError": _ERROR,  # without a code: of these mutations only field and message tell what is wrong
}

_SEARCH: Final = {"first": "Int", "query": "String", "sortKey": "SortKey"}
ARGUMENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "DraftOrder.lineItems": {"first": "Int"},
    "Mutation.draftOrderComplete": {"id": "ID!", "paymentPending": "Boolean", "sourceName": "String"},
    "Mutation.draftOrderCreate": {"input": "DraftOrderInput!"},
    "Mutation.draftOrderDelete": {"input": "DraftOrderDeleteInput!"},
    "Mutation.orderCancel": {
        "orderId": "ID!",
        "reason": "OrderCancelReason!",
        "restock": "Boolean!",
        "notifyCustomer": "Boolean",
        "staffNote": "String",
    },
    "Order.lineItems": {"first": "Int"},
    "QueryRoot.draftOrder": {"id": "ID!"},
    "QueryRoot.draftOrders": _SEARCH,
    "QueryRoot.job": {"id": "ID!"},
    "QueryRoot.node": {"id": "ID!"},
    "QueryRoot.nodes": {"ids": "[ID!]!"},
    "QueryRoot.order": {"id": "ID!"},
    "QueryRoot.orders": _SEARCH,
}

INPUTS: Final[Mapping[str, Mapping[str, str]]] = {
    "AttributeInput": {"key": "String!", "value": "String!"},
    "DraftOrderAppliedDiscountInput": {
        "amountWithCurrency": "MoneyInput",
        "description": "String",
        "title": "String",
        "value": "Float!",
        "valueType": "DraftOrderAppliedDiscountType!",
    },
    "DraftOrderDeleteInput": {"id": "ID!"},
    "DraftOrderInput": {
        "acceptAutomaticDiscounts": "Boolean",
        "appliedDiscount": "DraftOrderAppliedDiscountInput",
        "billingAddress": "MailingAddressInput",
        "customAttributes": "[AttributeInput!]",
        "email": "String",
        "lineItems": "[DraftOrderLineItemInput!]",
        "note": "String",
        "phone": "String",
        "presentmentCurrencyCode": "CurrencyCode",
        "shippingAddress": "MailingAddressInput",
        "shippingLine": "ShippingLineInput",
        "tags": "[String!]",
        "taxExempt": "Boolean",
    },
    "DraftOrderLineItemInput": {
        "appliedDiscount": "DraftOrderAppliedDiscountInput",
        "customAttributes": "[AttributeInput!]",
        "originalUnitPriceWithCurrency": "MoneyInput",
        "priceOverride": "MoneyInput",
        "quantity": "Int!",
        "requiresShipping": "Boolean",
        "sku": "String",
        "taxable": "Boolean",
        "title": "String",
        "variantId": "ID",
    },
    "MailingAddressInput": dict.fromkeys(
        (
            "address1",
            "address2",
            "city",
            "company",
            "firstName",
            "lastName",
            "phone",
            "province",
            "provinceCode",
            "zip",
        ),
        "String",
    )
    | {"countryCode": "CountryCode"},
    "MoneyInput": {"amount": "Decimal!", "currencyCode": "CurrencyCode!"},
    "ShippingLineInput": {"priceWithCurrency": "MoneyInput", "title": "String"},
}

_WORDS: Final = {
    "CountryCode": re.compile(r"[A-Z]{2}"),
    "CurrencyCode": re.compile(r"[A-Z]{3}"),
    "DraftOrderAppliedDiscountType": re.compile(r"FIXED_AMOUNT|PERCENTAGE"),
    "ID": re.compile(r"gid://shopify/[A-Za-z]+/[\w-]+"),
    "OrderCancelReason": re.compile(r"CUSTOMER|DECLINED|FRAUD|INVENTORY|OTHER|STAFF"),
    "SortKey": re.compile(r"CREATED_AT|ID|NUMBER|UPDATED_AT|RELEVANCE"),
}


def check(operation: Operation, variables: Mapping[str, Any]) -> None:
    """Raises `Invalid` where the request breaks the schema: nothing of it is executed then."""
    for name, kind in operation.variables.items():
        fault = _fault(variables.get(name), kind)
        if fault is not None:
            raise Invalid("INVALID_VARIABLE", f"Variable ${name} of type {kind} was provided invalid value{fault}")
    root = "Mutation" if operation.kind == "mutation" else "QueryRoot"
    _check(operation.selections, root, operation)


def arguments(field: Field, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a field with the variables' values in their places."""
    return {
        name: variables.get(value.name) if isinstance(value, Variable) else value
        for name, value in field.arguments.items()
    }


def cost(operation: Operation) -> int:
    """Points that a request asks for. Simplified: 10 for a mutation, else 1 for each object, 2 for each list."""
    return 10 if operation.kind == "mutation" else max(1, _objects(operation.selections))


def _objects(selections: tuple[Selection, ...]) -> int:
    return sum(
        (1 if isinstance(one, Field) and one.selections else 0)
        + (1 if isinstance(one, Field) and one.arguments.get("first") else 0)
        + _objects(one.selections)
        for one in selections
    )


def _check(selections: tuple[Selection, ...], kind: str, operation: Operation) -> None:
    known = TYPES[kind]
    for one in selections:
        if isinstance(one, Fragment):
            _check(one.selections, one.type, operation)
            continue
        if one.name not in known:
            raise Invalid("undefinedField", f"Field '{one.name}' doesn't exist on type '{kind}'")
        inner = known[one.name]
        if bool(inner) != bool(one.selections):
            raise Invalid("selectionMismatch", f"Field '{one.name}' and its selections do not fit")
        _check_arguments(one, kind, operation)
        if inner:
            _check(one.selections, inner, operation)


def _check_arguments(field: Field, kind: str, operation: Operation) -> None:
    known = ARGUMENTS.get(f"{kind}.{field.name}", {})
    for name, value in field.arguments.items():
        if name not in known:
            raise Invalid("argumentNotAccepted", f"Field '{field.name}' doesn't accept argument '{name}'")
        if isinstance(value, Variable) and value.name not in operation.variables:
            raise Invalid("variableNotDefined", f"Variable ${value.name} is used but not declared")
    for name, wanted in known.items():
        if wanted.endswith("!") and name not in field.arguments:
            raise Invalid("missingRequiredArguments", f"Field '{field.name}' is missing argument '{name}'")


def _fault(value: Any, kind: str) -> str | None:
    """What is wrong with a variable's value, None if nothing is."""
    if value is None:
        return " (Expected value to not be null)" if kind.endswith("!") else None
    bare = kind.removesuffix("!")
    if bare.startswith("["):
        if not isinstance(value, list):
            return " (Expected a list)"
        if len(value) > 250:
            raise Invalid("MAX_INPUT_SIZE_EXCEEDED", "The input array size is greater than the maximum of 250.")
        return next((fault for one in value if (fault := _fault(one, bare[1:-1])) is not None), None)
    if bare in INPUTS:
        return _fault_of_input(value, bare)
    return None if _fits(value, bare) else f" (no {bare})"


def _fault_of_input(value: Any, kind: str) -> str | None:
    if not isinstance(value, dict):
        return f" (no {kind})"
    members = INPUTS[kind]
    for name in value:
        if name not in members:
            return f" for {name} (Field is not defined on {kind})"
    for name, inner in members.items():
        fault = _fault(value.get(name), inner)
        if fault is not None:
            return f" for {name}{fault}"
    return None


def _fits(value: Any, kind: str) -> bool:
    match kind:
        case "Boolean":
            return isinstance(value, bool)
        case "Int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "Float":
            return isinstance(value, int | Decimal) and not isinstance(value, bool)
        case "Decimal":
            return decimal_of(value) is not None
        case "String":
            return isinstance(value, str)
        case _:
            return isinstance(value, str) and _WORDS[kind].fullmatch(value) is not None
