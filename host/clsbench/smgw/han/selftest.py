"""The self-test a person may ask for: what it looks at, and how often.

Source: Theben IF_GW_CON (again after 10 minutes at the earliest).
"""

from collections.abc import Callable

from clsbench.pki.names import Peer
from clsbench.smgw.journal import Journal

AGAIN_MS = 600_000


class SelfTest:
    """check: what is tested, returns a sentence on the outcome."""

    def __init__(self, journal: Journal, now_ms: Callable[[], int], check: Callable[[], str]):
        self._journal = journal
        self._now_ms = now_ms
        self._check = check
        self._last_ms: int | None = None

    def begin(self, peer: Peer) -> bool:
        """Runs it; False when the last one was too short a while ago."""
        now_ms = self._now_ms()
        if self._last_ms is not None and now_ms - self._last_ms < AGAIN_MS:
            return False
        self._last_ms = now_ms
        outcome = self._check()
        self._journal.system("selftest", peer.name, outcome)
        if peer.role == "CON":
            self._journal.consumer(peer.name, "selftest", peer.name, outcome)
        return True
