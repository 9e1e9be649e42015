"""docs/reference/state-machine.md and its picture, from the table in domain/machine.py.

The `transitions` library names the moves; this module only writes them down.
"""

from typing import Final

from transitions.extensions.diagrams import GraphMachine

from orderflow.domain.machine import TABLE, TARGET, VERSION, Report, Status, Verdict, judge, machine

MEANING: Final = {
    Verdict.ADVANCE: ("a legal step", "the status moves, and details are fetched before anything is sent"),
    Verdict.LEAP: (
        "Glopal is ahead of us: a report was missed, or is not sent at all",
        "the status moves, an anomaly is noted, and details are fetched before anything is sent",
    ),
    Verdict.ECHO: ("repeated or late", "nothing changes"),
    Verdict.CONFLICT: (
        "contradicts what we hold",
        "the event is kept, the status stays, the order is held (`contradiction`), and Glopal is asked",
    ),
}

BODY: Final = """\
# State machine

The status of an order is Glopal's. orderflow keeps a replica, and this table says how it takes each of Glopal's five
reports. It is total: whatever is reported, in whatever order and how often, there is a verdict. Generated from
`domain/machine.py`, version {version}.

## The table

{table}

{verdicts}

A new order may begin with *ready*: Glopal recommends to listen from there. A completed order may still be cancelled, as
long as it is not shipped.

Verdicts are never stored. Every reading of the log judges it by the table of today; each event's `meta` names the
version of its day. After a change of the table, `VERSION` is raised and read models are
[rebuilt](../how-to/rebuild.md).

## The diagram

Each move is made by the report that is named like the status it leads to. Leaps are marked, or dashed where the picture
has no words; echoes and conflicts stay where they are and are not drawn.

```mermaid
{diagram}
```

## Where an order may go

{moves}

## Details

Fetched details show a status, too, and are judged by the same table. They differ in three ways:

- Details that show *less* than we hold move nothing: Glopal's GET may lag behind its events.
- Details that show a living order after a cancellation raise a contradiction. Only a second answer, a settle window
  later, may overrule the report; the order is then held (`overruled`) until a person has looked.
- A status that Glopal's documents do not name moves nothing and is an anomaly.
"""


def page() -> str:
    """The whole page."""
    return BODY.format(version=VERSION, table=_table(), verdicts=_verdicts(), diagram=diagram(), moves=_moves())


def _table() -> str:
    head = f"| holding ↓ / report → | {' | '.join(Report)} |\n|{' --- |' * (len(Report) + 1)}"
    return "\n".join([head, *(f"| {status} | {' | '.join(verdicts)} |" for status, verdicts in TABLE.items())])


def _verdicts() -> str:
    rows = [f"| *{verdict}* | {why} | {then} |" for verdict, (why, then) in MEANING.items()]
    assert list(MEANING) == list(Verdict)
    return "\n".join(["| verdict | the report is | what happens |", "| --- | --- | --- |", *rows])


def _moves() -> str:
    rows = ["| from | by | to | verdict |", "| --- | --- | --- | --- |"]
    rows += [f"| {a} | {report} | {TARGET[report]} | {judge(a, report)} |" for a, report in moves()]
    return "\n".join(rows)


def moves() -> list[tuple[Status, Report]]:
    """Every move that the library's machine knows, in the order of the table."""
    known = machine()
    return [(a, r) for a in Status for r in Report if any(t.dest for t in known.get_transitions(r.value, a.value))]


def diagram() -> str:
    """The library's own Mermaid drawing of these moves, without its colours: they suit neither light nor dark."""
    drawn = GraphMachine(
        model=None,
        states=[status.value for status in Status],
        transitions=[[_name(status, report), status.value, TARGET[report].value] for status, report in moves()],
        initial=Status.NEW.value,
        auto_transitions=False,
        graph_engine="mermaid",
    )
    anyone = _Anyone()  # it draws nothing before it has a model
    drawn.add_model(anyone)
    lines = anyone.get_graph().draw(None).splitlines()
    kept = [line.strip() for line in lines if "-->" in line]
    start = kept.pop()  # the library draws the beginning last
    return "\n".join(["stateDiagram-v2", *(f"    {line}" for line in [start, *kept])])


def _name(status: Status, report: Report) -> str:
    return f"{report} (leap)" if judge(status, report) is Verdict.LEAP else report.value


class _Anyone:
    """A model; the library hangs its methods onto it."""


# --- the same as a picture --------------------------------------------------------------------------------------------

_WIDE, _HIGH, _GAP, _TOP = 116, 40, 44, 118
_ROW: Final = [Status.NEW, Status.RECEIVED, Status.READY, Status.ACCEPTED, Status.COMPLETED]
_STEP: Final = _WIDE + _GAP
_WIDTH: Final = len(_ROW) * _STEP - _GAP + 4
_BELOW: Final = _TOP + _HIGH + 90

SVG: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="machine-title" \
font-family="system-ui, sans-serif" font-size="13" fill="none" stroke="currentColor" stroke-width="1.2">
<title id="machine-title">The statuses of an order and the moves between them</title>
<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M0 0 8 4 0 8z" fill="currentColor" stroke="none"/></marker></defs>
{shapes}
</svg>
"""


def picture() -> str:
    """The moves as an SVG picture in the colour of the text around it: the way forward in a row, CANCELLED below."""
    shapes = [_arrow(status, report) for status, report in moves()]
    shapes += [_box(status) for status in Status]
    return SVG.format(width=_WIDTH, height=_BELOW + _HIGH + 4, shapes="\n".join(shapes))


def _place(status: Status) -> tuple[int, int]:
    """The middle of a box."""
    if status is Status.CANCELLED:
        return _WIDTH // 2, _BELOW + _HIGH // 2
    return 2 + _ROW.index(status) * _STEP + _WIDE // 2, _TOP + _HIGH // 2


def _box(status: Status) -> str:
    x, y = _place(status)
    shape = f'<rect x="{x - _WIDE // 2}" y="{y - _HIGH // 2}" width="{_WIDE}" height="{_HIGH}" rx="8"/>'
    text = f'<text x="{x}" y="{y + 5}" text-anchor="middle" fill="currentColor" stroke="none">{status}</text>'
    return shape + text


def _arrow(status: Status, report: Report) -> str:
    """Neighbours by a straight line, leaps by arcs above, cancellations by lines downwards."""
    (x, y), target = _place(status), TARGET[report]
    to_x, to_y = _place(target)
    leap = ' stroke-dasharray="5 4"' if judge(status, report) is Verdict.LEAP else ""
    if target is Status.CANCELLED:
        at = _ROW.index(status) - len(_ROW) // 2
        path = f"M{x} {y + _HIGH // 2} C{x} {y + 80} {to_x + at * 22} {to_y - 70} {to_x + at * 22} {to_y - _HIGH // 2}"
    elif _ROW.index(target) - _ROW.index(status) == 1:
        path = f"M{x + _WIDE // 2} {y} H{to_x - _WIDE // 2}"
    else:
        far = _ROW.index(target) - _ROW.index(status)
        start, end, top = x + 24 - 12 * far, to_x - 24 + 12 * far, y - _HIGH // 2
        path = f"M{start} {top} C{start} {top - 42 * far + 20} {end} {top - 42 * far + 20} {end} {top}"
    return f'<path d="{path}"{leap} marker-end="url(#head)"><title>{report}</title></path>'
