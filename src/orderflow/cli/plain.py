"""Text for people, the one place where it is made safe: whatever is not to be seen is shown as an escape.

It never changes a letter that can be seen, and imports nothing of orderflow.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii


def plain(text: str) -> str:
    r"""`text` with control characters, direction marks and the like written as in JSON, `\u001b`; lines stay lines."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else encode_basestring_ascii(one)[1:-1] for one in text)


def problem_of_argument(text: str) -> str | None:
    """What is wrong with a word of a command line, None if nothing: it may get into the log, and be shown to others."""
    hidden = next((one for one in text if not one.isprintable()), None)
    return None if hidden is None else f"has a character that is not to be seen (U+{ord(hidden):04X}): leave it out"
