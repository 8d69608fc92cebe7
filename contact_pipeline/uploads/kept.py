"""An answer that is kept for some seconds, however many ask for it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Kept(Generic[_T]):
    """Asks one at a time, and gives the answer to all who ask while it is fresh. An error is kept for nobody."""

    def __init__(self, seconds: float, ask: Callable[[], _T]) -> None:
        self._seconds = seconds
        self._ask = ask
        self._lock = Lock()
        self._kept: tuple[_T, float] | None = None

    def __call__(self) -> _T:
        """The answer."""
        with self._lock:
            if self._kept is None or monotonic() > self._kept[1]:
                self._kept = (self._ask(), monotonic() + self._seconds)
            return self._kept[0]
