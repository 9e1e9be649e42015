"""Commands that seal and prove: `orderflow seal`, `orderflow audit export`.

They never change the log, and never show the sealing key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orderflow import app as composition
from orderflow.app import App
from orderflow.audit import sealer
from orderflow.audit.bundle import BundleError
from orderflow.audit.export import export as bundle_of
from orderflow.audit.keys import new_key as make_key
from orderflow.audit.sealer import Outcome, Sealing
from orderflow.audit.seals import SealRefusedError
from orderflow.cli import finding, means
from orderflow.cli.means import Failure


def seal(
    ctx: typer.Context,
    store: Annotated[str | None, typer.Argument(help="One store; all without it.", metavar="[STORE]")] = None,
    *,
    public_key: Annotated[
        bool, typer.Option("--public-key", help="Print the public key, for those who check, and seal nothing.")
    ] = False,
    new_key: Annotated[
        Path | None,
        typer.Option(help="Make a sealing key in this file, print its public key, and seal nothing.", metavar="FILE"),
    ] = None,
    as_json: means.AsJson = False,
) -> None:
    """Sign size and Merkle root of the log, and hand the seal to whoever keeps it. `work` does so by itself.

    Exit code 1 if the log is not what was sealed before, or if an exporter did not take the seal.
    """
    if new_key is not None:
        means.say(_made(new_key))
        return
    if public_key:
        means.say(str(_configured(composition.sealing(means.settings(ctx).seal)).signer.public))
        return
    with means.opened(ctx) as app:
        sealing = _configured(app.sealing)
        done = [_sealed(app, sealing, name) for name in means.stores(app, store)]
    if as_json:
        means.print_json([_as_json(outcome, problem) for outcome, problem in done])
    for outcome, problem in done:
        _tell(outcome, problem, as_json=as_json)
    if any(problem or any(outcome.exports.values()) for outcome, problem in done):
        raise typer.Exit(means.REFUSED)


def _made(path: Path) -> str:
    try:
        return str(make_key(path))
    except FileExistsError:
        raise Failure(f"{path} is there already: a sealing key is never overwritten") from None
    except OSError as error:
        raise Failure(f"{path} cannot be written ({error.strerror})") from None


def _configured(sealing: Sealing | None) -> Sealing:
    if sealing is None:
        raise Failure("seal.key is not set: make one with `orderflow seal --new-key FILE`, and name the file there")
    return sealing


def _sealed(app: App, sealing: Sealing, store: str) -> tuple[Outcome, str]:
    try:
        return sealer.seal(app.engine, sealing, store), ""
    except SealRefusedError as error:
        return Outcome(store, None), str(error)


def _tell(outcome: Outcome, problem: str, *, as_json: bool) -> None:
    if problem:
        means.complain(f"not sealed: {problem}")
    for name, trouble in outcome.exports.items():
        if trouble:
            means.complain(f"{outcome.store}: {name} did not take the seal: {trouble}")
    if as_json or problem:
        return
    if outcome.signed is None:
        means.say(f"{outcome.store}: nothing to seal, or another process seals it right now")
        return
    takers = ", ".join(name for name, trouble in outcome.exports.items() if not trouble)
    kept = f"kept by {takers}" if takers else "not exported"
    means.say(f"{outcome.store}: {outcome.signed.seal.size} events sealed, {kept}")


def _as_json(outcome: Outcome, problem: str) -> dict[str, object]:
    seal = outcome.signed.seal if outcome.signed else None
    return {
        "store": outcome.store,
        "origin": seal.origin if seal else None,
        "size": seal.size if seal else None,
        "root": seal.root.hex() if seal else None,
        "epoch": seal.epoch if seal else None,
        "time": seal.time if seal else None,
        "exported": outcome.exported,
        "exports": outcome.exports,
        "problem": problem,
    }


def export(
    ctx: typer.Context,
    order: finding.AnyOrder,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.", metavar="FILE")],
) -> None:
    """Write an order's events with the proof that they stand in the sealed log; `audit check` checks it anywhere.

    Seals the log first. What is personal stays sealed in it.
    """
    with means.opened(ctx) as app:
        sealing = _configured(app.sealing)
        with app.engine.connect() as conn:
            place = finding.find(app, conn, order, by_shop=True)
        outcome, problem = _sealed(app, sealing, place.store)
        if problem:
            raise Failure(f"not sealed: {problem}", means.REFUSED)
        if outcome.signed is None:
            raise Failure("another process seals this store right now: try again", means.REFUSED)
        with app.engine.connect() as conn:
            try:
                raw = bundle_of(conn, place.store, place.order_id, outcome.signed, sealing.signer.trusted)
            except BundleError as error:
                raise Failure(str(error), means.REFUSED) from None
    try:
        output.write_bytes(raw)
    except OSError as error:
        raise Failure(f"{output} cannot be written ({error.strerror})") from None
    _tell(outcome, "", as_json=False)
    means.say(f"{place}: written to {output}; check it with `orderflow audit check {output} --public-key KEY`")
