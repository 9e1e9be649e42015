"""What of a GraphQL answer is read, and what of it people may be told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.connectors.graphql import Answer, answer, complaints, inside, question
from orderflow.glopal.replies import Reply


def read(document: Any) -> Answer | None:
    return answer(Reply(200, {}, json.dumps(document).encode()))


def test_a_question_is_the_same_bytes_each_time() -> None:
    one = question("query { a }", {"b": 1, "a": "x"}, target="/graphql", expects={"id": "7"})
    assert one.frozen() == question("query { a }", {"a": "x", "b": 1}, target="/graphql", expects={"id": "7"}).frozen()
    assert json.loads(one.body) == {"query": "query { a }", "variables": {"a": "x", "b": 1}}


def test_data_and_errors_may_stand_together() -> None:
    found = read({"data": {"a": 1}, "errors": [{"extensions": {"code": "FORBIDDEN"}}], "extensions": {"cost": {}}})
    assert found == Answer({"a": 1}, ("FORBIDDEN",), {"cost": {}})


@pytest.mark.parametrize(
    "document",
    [{}, [], None, "ok", {"data": None}, {"data": []}, {"data": {}, "errors": "x"}, {"errors": []}, {"errors": {}}],
)
def test_what_is_no_answer(document: Any) -> None:
    assert read(document) is None


def test_errors_are_told_by_codes_only() -> None:
    found = read({"errors": [{"message": "Ada Muster"}, {"extensions": {"code": "Muster"}}, 5, {"extensions": []}]})
    assert found is not None
    assert found.codes == ("error",) * 4
    assert found.problem == "error"
    assert "Muster" not in repr(found)


def test_complaints_name_field_and_code() -> None:
    said: Any = [
        {"field": ["input", "lineItems", "0", "quantity"], "message": "Ada Muster is wrong", "code": "INVALID"},
        {"field": None, "message": "no"},
        {"field": ["input", "Muster"], "message": ""},
        {"errorCode": "ORDER_LIMIT_ERROR", "message": ""},
    ]
    told = complaints(said)
    assert told == "input.lineItems.0.quantity INVALID, error, input, ORDER_LIMIT_ERROR"
    assert complaints([]) == ""
    assert complaints(None) is None
    assert complaints(["x"]) is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda some: st.lists(some, max_size=3)))
def test_nothing_odd_raises(value: Any) -> None:
    inside({"a": value}, "a", "b", "c")
    complaints(value)
    complaints([{"field": value, "code": value}])
    read({"data": value, "errors": value, "extensions": value})
