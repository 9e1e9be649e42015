"""Files of sealing keys.

It never overwrites one, and never shows one.
"""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path

from orderflow.audit.note import PublicKey
from orderflow.audit.seals import signer


def new_key(path: Path) -> PublicKey:
    """Make a key file readable by its owner only; its public half. Raises OSError, also if there is such a file."""
    secret = b64encode(os.urandom(32)).decode()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{secret}\n")
        file.flush()
        os.fsync(file.fileno())
    return signer(secret).public
