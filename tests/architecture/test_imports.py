"""What a package may import from outside, read from the source itself; the layers are import-linter's."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
DATABASE = {"sqlalchemy", "psycopg", "alembic"}


def modules(package: str) -> list[Path]:
    return sorted((SOURCE / package.replace(".", "/")).rglob("*.py"))


def imported(module: Path) -> Iterator[str]:
    """Absolute names, also of what a function imports and of relative imports."""
    parts = module.relative_to(SOURCE).parts
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = [*(parts[: -node.level] if node.level else ()), *([node.module] if node.module else ())]
            yield from (".".join([*origin, alias.name]) for alias in node.names)


def outsiders(package: str, allowed: set[str]) -> list[str]:
    """The imports of a package that are neither standard library, nor allowed, nor the package itself."""
    assert modules(package), f"{package} has moved: move this test too"
    return [
        f"{module.relative_to(SOURCE)}: {name}"
        for module in modules(package)
        for name in imported(module)
        if name.split(".")[0] not in sys.stdlib_module_names | allowed and not f"{name}.".startswith(f"{package}.")
    ]


def test_the_domain_needs_only_the_standard_library_and_transitions():
    assert outsiders("orderflow.domain", allowed={"transitions"}) == []


def test_the_sandbox_needs_only_the_standard_library():
    assert outsiders("orderflow.sandbox", allowed=set()) == []


def test_the_domain_has_no_clock_no_chance_and_no_input():
    impure = {"time", "random", "secrets", "uuid", "os", "pathlib", "socket", "subprocess", "logging", "threading"}
    used = {name.split(".")[0] for module in modules("orderflow.domain") for name in imported(module)}
    assert used & impure == set()


@pytest.mark.parametrize("package", ["orderflow.domain", "orderflow.glopal", "orderflow.connectors"])
def test_no_database_library(package):
    used = {name.split(".")[0] for module in modules(package) for name in imported(module)}
    assert used & DATABASE == set()


def test_every_module_says_what_it_is_for():
    silent = [str(module) for module in modules("orderflow") if not ast.get_docstring(ast.parse(module.read_text()))]
    assert silent == []
