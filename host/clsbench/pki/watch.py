"""Certificates and revocation lists near their end: found, and told once each.

By the machine's clock, since that is what OpenSSL goes by, whatever the bench's clock says.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clsbench.errors import ClsbenchError
from clsbench.pki import crl, files
from clsbench.pki.names import UNREADABLE, cn_of

EXPIRED, SOON, NOT_YET, VALID = "expired", "expires soon", "not yet valid", "valid"
LIST_WARN_DAYS = 7  # lists are short-lived: they are told later than certificates
CHECK_S = 3600.0


@dataclass(frozen=True)
class Ending:
    """Something that ends or has ended. state: EXPIRED or SOON; until: aware."""

    path: Path
    subject: str
    state: str
    until: datetime

    @property
    def text(self) -> str:
        """For a log, with the next step."""
        if self.subject.startswith("revocation list"):
            remedy = "clsbench pki crl"
        else:
            remedy = f"clsbench pki renew DIR {self.path.parent.name}"
        verb = "ended" if self.state == EXPIRED else "ends"
        return f"{self.subject} ({self.path}) {verb} {self.until:%Y-%m-%dT%H:%M:%SZ}: {remedy}"


def state_of(start: datetime, end: datetime, now: datetime, warn_days: int) -> str:
    """EXPIRED, SOON (within `warn_days`), NOT_YET or VALID."""
    if now > end:
        return EXPIRED
    if now < start:
        return NOT_YET
    return SOON if now > end - timedelta(days=warn_days) else VALID


def endings(
    certificates: Iterable[Path], lists: Iterable[Path], now: datetime, warn_days: int
) -> list[Ending]:
    """What ends within `warn_days` or has ended; files that are not there are left out."""
    found = []
    for path in certificates:
        try:
            each = files.read_certificate(path)
            subject = cn_of(each)
        except (OSError, ClsbenchError, *UNREADABLE):
            continue  # a context that needs it says so
        state = state_of(each.not_valid_before_utc, each.not_valid_after_utc, now, warn_days)
        if state in (EXPIRED, SOON):
            found.append(Ending(path, subject, state, each.not_valid_after_utc))
    for path in lists:
        found += _list_endings(path, now, min(warn_days, LIST_WARN_DAYS))
    return found


class ExpiryWatch:
    """Looks every CHECK_S and tells what ends, once for each file, date and state."""

    def __init__(
        self,
        certificates: Iterable[Path],
        lists: Iterable[Path],
        warn_days: int,
        tell: Callable[[Ending], None],
    ):
        self._certificates = tuple(certificates)
        self._lists = tuple(lists)
        self._warn_days = warn_days
        self._tell = tell
        self._told: set[Ending] = set()

    def look(self) -> None:
        """Tells what is new."""
        now = datetime.now(UTC)
        for each in endings(self._certificates, self._lists, now, self._warn_days):
            if each not in self._told:
                self._told.add(each)
                self._tell(each)

    async def run(self) -> None:
        """Looks for ever."""
        while True:
            self.look()
            await asyncio.sleep(CHECK_S)


def _list_endings(path: Path, now: datetime, warn_days: int) -> list[Ending]:
    try:
        lists = crl.read_lists(path.read_bytes())
    except (OSError, ClsbenchError):
        return []
    found = []
    for each in lists:
        until = each.next_update_utc
        if until is None:
            continue
        state = state_of(each.last_update_utc, until, now, warn_days)
        if state in (EXPIRED, SOON):
            issuer = each.issuer.rfc4514_string().partition(",")[0]
            found.append(Ending(path, f"revocation list of {issuer}", state, until))
    return found
