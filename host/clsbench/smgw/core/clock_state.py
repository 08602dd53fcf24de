"""The state of the gateway's legal time, and from when on a reading may not be billed.

Source: 3 % of the registration period counts as valid for billing (27 s of 900 s); status
"deviation > 3 %" of Detailspezifikationen 2.0 section 9.3.6.
"""

from dataclasses import dataclass

UNSET = "unset"
SYNCHRONISED = "synchronised"
HOLDOVER = "holdover"
MAX_DEVIATION_MS = 27_000  # 3 % of a registration period of 900 s


@dataclass(frozen=True, slots=True)
class TimeState:
    """The gateway's legal time. state: unset, synchronised or holdover; bound_ms: deviation."""

    state: str = SYNCHRONISED
    bound_ms: int | None = 0

    @property
    def valid(self) -> bool:
        """True when a reading made now may be billed."""
        known = self.bound_ms is not None and self.bound_ms < MAX_DEVIATION_MS
        return self.state == SYNCHRONISED and known
