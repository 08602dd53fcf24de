"""Board time for boards that live in the wall's: now, sleep and wait."""

import time
from collections.abc import Callable
from typing import TypeVar

from clsbench.errors import PeerSilent

T = TypeVar("T")
LOOK_S = 0.002


class WallTime:
    """Part of a board. `name`: what errors call it."""

    name = ""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))

    def wait(self, predicate: Callable[[], T], deadline_s: float, what: str) -> T:
        deadline = time.monotonic() + deadline_s
        while not (found := predicate()):
            if time.monotonic() >= deadline:
                raise PeerSilent(f"board {self.name}: {what} did not come in {deadline_s:g} s")
            time.sleep(LOOK_S)
        return found
