"""The fake shop answers only what the published contract says, and the contract is valid OpenAPI 3.1."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from orderflow.sandbox import Fault, Request, ShopOptions, deliver
from orderflow.sandbox.faults import Kind

from .world import SHOP_KEY, World, new_order

CONTRACT: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[2] / "src/orderflow/connectors/shop.openapi.yaml").read_text("utf-8")
)


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = CONTRACT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def check(schema: dict[str, Any], value: object) -> None:
    OAS31Validator({**schema, "components": CONTRACT["components"]}).validate(value)


def path_of(path: str) -> str:
    parts = path.split("/")
    return "/".join(["", "orders", "{id}", *parts[3:]][: len(parts)])


def ask(world: World, method: str, path: str, body: object = None, fault: Kind = "none", **query: str) -> int:
    """Ask the shop and hold request and answer against the contract. Returns the status."""
    content = b"" if body is None else json.dumps(body).encode()
    request = Request(method, path, tuple(query.items()), SHOP_KEY, content)
    answer = deliver(world.shop.handle, request, Fault(fault), lambda _delay, _action: None)
    operation = CONTRACT["paths"][path_of(path)][method.lower()]
    documented = resolved(operation["responses"][str(answer.status)])
    if answer.body:
        check(documented["content"]["application/json"]["schema"], json.loads(answer.body))
    else:
        assert "content" not in documented
    if body is not None and answer.status != 400:
        check(operation["requestBody"]["content"]["application/json"]["schema"], body)
    return answer.status


def test_the_contract_is_valid() -> None:
    validate(CONTRACT)


def test_every_answer_of_the_shop_is_documented() -> None:
    world = World(shop=ShopOptions(unique_reference=True))
    assert ask(world, "POST", "/orders", new_order()) == 201
    assert ask(world, "POST", "/orders", new_order()) == 409
    assert ask(world, "POST", "/orders", new_order("other", "REFUSE-ME")) == 422
    assert ask(world, "POST", "/orders", {}) == 400
    assert ask(world, "GET", "/orders") == 400
    assert ask(world, "GET", "/orders", reference="glopal:acme:1-1") == 200
    path = f"/orders/{world.shop.ledger()[0].id}"
    expected = [
        ("GET", path, 200),
        ("POST", f"{path}/cancel", 409),
        ("POST", f"{path}/promote", 200),
        ("POST", f"{path}/promote", 409),
        ("DELETE", path, 409),
        ("POST", f"{path}/cancel", 200),
        ("POST", f"{path}/cancel", 409),
        ("GET", "/orders/nothing", 404),
        ("DELETE", "/orders/nothing", 404),
        ("POST", "/orders/nothing/promote", 404),
        ("POST", "/orders/nothing/cancel", 404),
    ]
    assert [(method, place, ask(world, method, place)) for method, place, _ in expected] == expected
    assert ask(world, "POST", "/orders", new_order("draft")) == 201
    assert ask(world, "DELETE", f"/orders/{world.shop.ledger()[1].id}") == 204


@pytest.mark.parametrize(("kind", "status"), [("throttled", 429), ("error_500", 500), ("error_503", 503)])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/orders"),
        ("GET", "/orders"),
        ("GET", "/orders/x"),
        ("DELETE", "/orders/x"),
        ("POST", "/orders/x/promote"),
        ("POST", "/orders/x/cancel"),
    ],
)
def test_every_failure_is_documented(method: str, path: str, kind: Kind, status: int) -> None:
    assert ask(World(), method, path, fault=kind) == status


def test_every_operation_needs_a_key() -> None:
    for path, item in CONTRACT["paths"].items():
        for method in item.keys() & {"get", "post", "delete"}:
            answer = World().shop.handle(Request(method.upper(), path.replace("{id}", "x")))
            check(
                resolved(item[method]["responses"]["401"])["content"]["application/json"]["schema"],
                json.loads(answer.body),
            )
            assert answer.status == 401
