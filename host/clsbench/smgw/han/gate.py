"""Who may come in and how often: lock-out after wrong passwords, rate of a person's requests.

Wrong passwords count for one log-in at one address, so nobody locks another out from elsewhere;
a connection on which the password was right once stays open to it. The rate counts requests
whose password was right, so nobody uses up another's. Requests without an Authorization header
count for nothing.
Source: threads of HAN clients (portal locked for minutes; too frequent polling).
"""

from collections import OrderedDict
from collections.abc import Callable

MAX_KEYS = 4096
FORGET_S = 600.0  # wrong passwords older than this no longer count


class LockOut:
    """Locks a log-in at an address after `tries` wrong passwords, for `lock_s`."""

    def __init__(self, tries: int, lock_s: float, now_s: Callable[[], float]):
        self._tries = tries
        self._lock_s = lock_s
        self._now_s = now_s
        self._wrong: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def locked_s(self, address: str, login: str) -> float:
        """Seconds until it opens again, 0 when it is open."""
        count, since = self._wrong.get((address, login), (0, 0.0))
        if count < self._tries:
            return 0.0
        left = since + self._lock_s - self._now_s()
        if left <= 0:
            del self._wrong[address, login]
        return max(0.0, left)

    def wrong(self, address: str, login: str) -> bool:
        """Notes a wrong password; True when it locks."""
        key, now = (address, login), self._now_s()
        count, since = self._wrong.pop(key, (0, now))
        if now - since > FORGET_S:
            count = 0
        self._wrong[key] = (count + 1, now)
        while len(self._wrong) > MAX_KEYS:
            self._wrong.popitem(last=False)
        return count + 1 == self._tries

    def right(self, address: str, login: str) -> None:
        """Forgets wrong passwords."""
        self._wrong.pop((address, login), None)


class Rate:
    """At most `per_min` requests a minute for each name, all at once if they like."""

    def __init__(self, per_min: int, now_s: Callable[[], float]):
        self._per_min = per_min
        self._now_s = now_s
        self._left: dict[str, tuple[float, float]] = {}  # names of profiles: never many

    def wait_s(self, name: str) -> float:
        """Takes one request; seconds to wait when there is none left, else 0."""
        now = self._now_s()
        left, since = self._left.get(name, (float(self._per_min), now))
        left = min(self._per_min, left + (now - since) * self._per_min / 60)
        enough = left >= 1
        self._left[name] = (left - 1 if enough else left, now)
        return 0.0 if enough else (1 - left) * 60 / self._per_min
