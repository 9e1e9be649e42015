"""An error code is made of known words. Whatever might be a name, a phone number or an address is none."""

import pytest

from orderflow.glopal.codes import code
from orderflow.glopal.replies import Reply


@pytest.mark.parametrize(
    "word",
    ["out_of_stock", "order_not_found", "InvalidCursor", "reference_taken", "no", "Bad Request", "error-1010",
     "SKU_UNKNOWN", "not.a.draft", "HTTP 400", "some_code", "already_accepted", "fulfilled", "1010"],
)  # fmt: skip
def test_codes_are_shown(word):
    assert code(word) == word


@pytest.mark.parametrize(
    "word",
    ["Muster", "muster", "ada.muster", "Zoe", "030-12345", "12345678", "0301-23-45", "ada@example.org", "order_muster",
     "Hauptstr.1", "", "a" * 65, "order\n", "ordré", "not/found", None, 400, ["order"], "OrderMuster", "x" * 10_000],
)  # fmt: skip
def test_names_are_not(word):
    assert code(word) is None


@pytest.mark.parametrize("shape", ['{"error":"%s"}', '{"error":{"code":"%s"}}', '{"code":"%s"}', '{"title":"%s"}'])
def test_a_summary_never_holds_a_name(shape):
    """However a shop or Glopal shapes its error, a buyer's name in the place of the code stays out of the reason."""
    assert Reply(422, {}, (shape % "Muster").encode()).summary == "422"
    assert Reply(422, {}, (shape % "out_of_stock").encode()).summary == "422 out_of_stock"
