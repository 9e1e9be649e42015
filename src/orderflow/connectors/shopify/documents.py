"""The GraphQL documents that Shopify is sent.

They never ask for a buyer's data: names and addresses go there, and need not come back.
"""

from __future__ import annotations

from typing import Final

MONEY: Final = "presentmentMoney { amount currencyCode }"
ORDER: Final = f"id name createdAt cancelledAt customAttributes {{ key value }} totalPriceSet {{ {MONEY} }}"
_OWN: Final = f"id name createdAt status ready customAttributes {{ key value }} totalPriceSet {{ {MONEY} }}"
DRAFT: Final = f"{_OWN} order {{ {ORDER} }}"
_LINES: Final = (
    "lineItems(first: 100) { nodes { sku quantity customAttributes { key value } "
    f"originalUnitPriceSet {{ {MONEY} }} }} pageInfo {{ hasNextPage }} }}"
)
_ERRORS: Final = "userErrors { field message }"

CREATE: Final = f"""mutation($input: DraftOrderInput!) {{
  draftOrderCreate(input: $input) {{ draftOrder {{ {DRAFT} }} {_ERRORS} }}
}}"""

COMPLETE: Final = f"""mutation($id: ID!, $paymentPending: Boolean) {{
  draftOrderComplete(id: $id, paymentPending: $paymentPending) {{ draftOrder {{ {DRAFT} }} {_ERRORS} }}
}}"""

DELETE: Final = f"""mutation($input: DraftOrderDeleteInput!) {{
  draftOrderDelete(input: $input) {{ deletedId {_ERRORS} }}
}}"""

CANCEL: Final = """mutation($orderId: ID!, $reason: OrderCancelReason!, $restock: Boolean!, $notifyCustomer: Boolean,
  $staffNote: String) {
  orderCancel(orderId: $orderId, reason: $reason, restock: $restock, notifyCustomer: $notifyCustomer,
    staffNote: $staffNote) { job { id done } orderCancelUserErrors { field message code } }
}"""

DRAFT_BY_ID: Final = f"query($id: ID!) {{ draftOrder(id: $id) {{ {DRAFT} }} }}"

ORDER_BY_ID: Final = f"query($id: ID!) {{ order(id: $id) {{ {ORDER} displayFulfillmentStatus }} }}"

FIND: Final = f"""query($tag: String!, $ids: [ID!]!) {{
  draftOrders(first: 10, query: $tag, sortKey: ID) {{ nodes {{ {DRAFT} }} pageInfo {{ hasNextPage }} }}
  orders(first: 10, query: $tag, sortKey: ID) {{ nodes {{ {ORDER} }} pageInfo {{ hasNextPage }} }}
  nodes(ids: $ids) {{ ... on DraftOrder {{ {DRAFT} }} ... on Order {{ {ORDER} }} }}
}}"""

VIEW: Final = f"""query($id: ID!) {{
  node(id: $id) {{
    ... on DraftOrder {{ {_OWN} {_LINES} order {{ {ORDER} {_LINES} }} }}
    ... on Order {{ {ORDER} {_LINES} }}
  }}
}}"""
