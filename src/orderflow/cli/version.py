"""`orderflow version`."""

from __future__ import annotations

import json
import platform
from typing import Annotated

import typer

import orderflow


def version(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")
    ] = False,
) -> None:
    """Print the version."""
    told = {"orderflow": orderflow.__version__, "python": platform.python_version()}
    print(json.dumps(told) if as_json else orderflow.__version__)  # noqa: T201  the answer itself
