"""Places where a process can be made to die, for tests of what no signal from outside hits.

Switched on by `CONTACT_PIPELINE_CRASH_AT=<name>` or `<name>:<n>`, the n-th time that it is reached.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Final

VARIABLE: Final = "CONTACT_PIPELINE_CRASH_AT"

_reached: Counter[str] = Counter()


def reached(name: str) -> None:
    """Die here, at once and without any clean-up, if this place is switched on."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    place, _, number = wanted.partition(":")
    if place == name:
        _reached[name] += 1
        if _reached[name] == int(number or 1):
            os.kill(os.getpid(), signal.SIGKILL)
