"""Which words of an answer are a machine's: error codes made of known words, and nothing that might be a name.

It never lets a word through that it does not know: a surname, too, is a short word of letters, and a phone number one
of digits. What is held back can be read in the sealed reply (`orderflow effects show --personal`).
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 64
_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[_.\- ]")
_LONGEST_NUMBER: Final = 4
_WORDS: Final = frozenset(
    """
    a about absent accept accepted access account action active added address after all allowed already amount an
    and any api application applied approval approved archived argument arguments arrived article articles as at
    attempt attribute attributes auth authentication authorization authorized available away bad balance bank base
    basket be been before billing blocked body both bounced broken bulk business buyer by call cancel canceled
    cancelled cannot capacity capture captured card cart change changed channel chargeback check checkout city
    client closed code collection column command company complete completed condition config configuration conflict
    connection consent constraint contact content contract convert correct cost count country coupon create created
    creation credentials credit currency cursor custom customer damaged data database date day days deadline debit
    decimal declined default defined delete deleted delivered delivery denied deprecated description destination
    detail details detected differ different digital disabled discount dispute disputed document does done draft
    drafts duplicate duplicated duty each early edit email empty enabled end ended entity entry environment error
    event events exceeded exceeds exist existing exists expected expired external failed failure fault faulty
    feature fee fees field fields file final first fixed for forbidden foreign format found fraud from frozen
    fulfilled fulfillment fulfilment full gateway general generic gift given glopal gone graphql group has header
    held hold http id idempotency identifier ids illegal import in inactive incomplete incorrect index ineligible
    input insufficient integrity internal invalid inventory invoice is item items job json key kind label language
    large last late length level limit limited line lines list live locale location lock locked login long lost mail
    maintenance malformed mandatory manual mapping market match max maximum merchant message metafield metafields
    method min minimum mismatch missing mode money more most moved must name negative network new next no none not
    nothing null number numeric object of off offline old on once one only open operation option order ordered
    orders other out over overdue own owner page paid parameter params parcel parse parsing partial partially
    partner parts password path payload payment pending percent permission phone pickup place placed plan policy
    positive postal postcode precondition present presentment price prices processed processing processor product
    products profile prohibited promote promoted promotion provider province proxy published purchase push quantity
    quota quote range rate rates reach reached read ready reason received record reference refund refundable
    refunded refused region register rejected relation removed replaced request requests required reserved resource
    response restricted result retry return returned returns review revoked risk role route row rule rules sale
    sales same save schema scope secret security selection server service session set settled settlement ship
    shipment shipped shipping shop short signature size sku slot small some source state status step still stock
    stopped storage store stream string subject success such suspended system table tags taken target tax taxes
    temporarily temporary test text than the throttled tier time timeout title to token too total transaction
    transition transport type unauthenticated unauthorized unavailable undefined unexpected unit unknown unpaid
    unprocessable unsupported until unverified unwanted update updated url used user validation value values
    variable variables variant variants vat verification verified version violation void voided wallet warehouse was
    webhook weight while with withdrawn without wrong xml year yet zero zip zone
    """.split()  # noqa: SIM905  a list literal of these would be ten screens long
)


def code(value: object) -> str | None:
    """The value if it is an error code made of known words, such as `out_of_stock` or `InvalidCursor`; else None.

    One number of at most four digits may stand in it.
    """
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST:
        return None
    parts = _PARTS.findall(value)
    if "".join(parts) != value:
        return None
    numbers = [part for part in parts if part.isdigit()]
    if len(numbers) > 1 or any(len(number) > _LONGEST_NUMBER for number in numbers):
        return None
    words = (part.lower() for part in parts if part.isalpha())
    return value if all(word in _WORDS for word in words) else None
