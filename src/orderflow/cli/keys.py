"""Commands about the keys: which master key wraps them, and wrapping them anew with another one.

They never show a key, and never open what is sealed.
"""

from __future__ import annotations

from typing import Any

import typer

from orderflow.app import App
from orderflow.cli import means
from orderflow.cli.checking import bar
from orderflow.store.vault import rotation, stored_at


def status(ctx: typer.Context, *, as_json: means.AsJson = False) -> None:
    """Say which master keys are in use, and how many keys each of them wraps.

    Exit code 1 if a key is wrapped by a master key that is not in use: what it seals cannot be read.
    """
    with means.opened(ctx) as app:
        found = _status(app)
    if as_json:
        means.print_json(found)
    else:
        for line in _lines(found):
            means.say(line)
    if found["unopened"]:
        raise typer.Exit(means.REFUSED)


def rotate(ctx: typer.Context, *, as_json: means.AsJson = False) -> None:
    """Wrap all keys anew with `master_key`, out of what `second_master_key` wrapped; workers go on meanwhile.

    It can be interrupted and called again. What is sealed is not touched.
    """
    with means.opened(ctx) as app, bar() as shown:
        before = _status(app)
        task = shown.add_task("keys", total=before["left"])
        done = 0
        for done in rotation.rewrap(stored_at(app.vault, app.engine), app.vault):
            shown.update(task, completed=done)
        found = _status(app) | {"rewrapped": done}
    if as_json:
        means.print_json(found)
        return
    means.say(f"{done} keys were wrapped anew by master key {found['current']}")
    for line in _lines(found):
        means.say(line)


def _status(app: App) -> dict[str, Any]:
    """`left`: keys that are to be wrapped anew; `unopened`: those of them that no master key in use opens."""
    vault = app.vault
    with stored_at(vault, app.engine).connect() as conn:
        wrapped, mac_key = rotation.wrapped_by(conn), rotation.mac_key_wrapped_by(conn)
    in_use = [master.master_id for master in vault.masters]
    current, *second = in_use
    left = [one for one in wrapped if one.master != current]
    unopened = sum(one.keys for one in left if one.master not in (None, *second))
    return {
        "current": current,
        "second": second[0] if second else None,
        "keys": [{"master": one.master, "keys": one.keys} for one in wrapped],
        "mac_key": mac_key,
        "left": sum(one.keys for one in left),
        "unopened": unopened + (mac_key not in (None, *in_use)),
    }


def _lines(found: dict[str, Any]) -> list[str]:
    lines = [f"master key {found['current']} wraps; {found['second'] or 'no other'} opens, too"]
    lines += [f"{one['keys']} keys are wrapped by {one['master'] or 'a key without id'}" for one in found["keys"]]
    if found["mac_key"] is not None:
        lines.append(f"the MAC key is wrapped by {found['mac_key']}")
    if found["unopened"]:
        lines.append(f"{found['unopened']} of them do not open: put their master key back, as second_master_key")
    elif found["left"] or found["mac_key"] not in (None, found["current"]):
        lines.append("`orderflow keys rotate` wraps the others anew")
    elif found["second"]:
        lines.append("second_master_key is not needed any more, save for backups that are older than the rotation")
    return lines
