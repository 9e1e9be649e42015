"""`orderflow audit check`: is what a bundle says true? For whoever got the file and pinned a key.

It never reads settings, a database or a secret, and imports nothing that could.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from orderflow.audit import bundle, note
from orderflow.audit.bundle import BundleError, Proof
from orderflow.audit.note import NoteError, PublicKey
from orderflow.cli import exits
from orderflow.cli.plain import plain


def check(
    file: Annotated[Path, typer.Argument(help="What `audit export` wrote.", metavar="FILE", show_default=False)],
    *,
    public_key: Annotated[
        list[str],
        typer.Option(help="The pinned public key, or a file that holds it; several will do.", metavar="KEY"),
    ],
    origin: Annotated[
        str | None, typer.Option(help="The pinned name of the log; without it any log of that key counts.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")
    ] = False,
) -> None:
    """Check a bundle offline: contents, places and times of its events against the seal, and the seal against the key.

    Exit code 1 if it does not prove what it says.
    """
    keys = [_key(text) for text in public_key]
    try:
        raw = file.read_bytes()
    except OSError as error:
        exits.complain(f"{file} cannot be read ({error.strerror})")
        raise typer.Exit(exits.BAD_INPUT) from None
    try:
        proof = bundle.check(raw, keys, origin)
    except BundleError as error:
        exits.complain(f"{file} proves nothing: {error}")
        raise typer.Exit(exits.REFUSED) from None
    text = json.dumps(_as_json(proof), indent=2) if as_json else "\n".join(_lines(proof))
    print(plain(text))  # noqa: T201  the answer itself


def _key(text: str) -> PublicKey:
    try:
        path = Path(text)
        return note.public_key(path.read_text() if path.is_file() else text)
    except (NoteError, OSError, ValueError) as error:
        exits.complain(f"--public-key: {error if isinstance(error, NoteError) else 'this is no public key'}")
        raise typer.Exit(exits.BAD_INPUT) from None


def _lines(proof: Proof) -> list[str]:
    seal, events = proof.seal, proof.events
    many = f"versions 1 to {len(events)}" if len(events) > 1 else "version 1"
    return [
        f"order {proof.order_id} of store {seal.store}: {len(events)} events, {many}",
        *(f"  {one.version}  position {one.position}  {one.recorded_at}  {one.type} ({one.source})" for one in events),
        f"sealed: log {seal.origin}, {seal.size} events, {seal.time:%Y-%m-%d %H:%M:%S} UTC, by the pinned key",
        "proved: these events stand in the sealed log with exactly these contents, places and times,",
        "  and none is left out between the first and the last of them",
        f"not proved: that nothing happened to the order after position {events[-1].position}",
    ]


def _as_json(proof: Proof) -> dict[str, object]:
    seal = proof.seal
    return {
        "store": seal.store,
        "order_id": proof.order_id,
        "versions": len(proof.events),
        "positions": [one.position for one in proof.events],
        "origin": seal.origin,
        "size": seal.size,
        "epoch": seal.epoch,
        "root": seal.root.hex(),
        "sealed_at": f"{seal.time.isoformat()}",
        "proved_up_to": proof.events[-1].position,
    }
