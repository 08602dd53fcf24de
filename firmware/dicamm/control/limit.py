"""A limit of power for a time, as far as a relay keeps one: it knows all or nothing.

Pure. Imported with the first limit. What a limit does to the relay stands here, when it ends too.
"""

from dicamm import codes

MAX_LIMIT_W = 1000000
MAX_DURATION_S = 604800  # a week


class Limit:
    """limit_w below the load's own power opens the relay; where that power is not known (rated_w
    0), any limit does. until_ms: monotonic end."""

    def __init__(self, limit_w, duration_s, rated_w, mono_ms):
        self.opens = limit_w < rated_w or not rated_w
        self.until_ms = mono_ms + 1000 * duration_s
        self.text = "limit %d W for %d s" % (limit_w, duration_s)


def fault(limit_w, duration_s):
    """0, or the code of a limit that is none."""
    well = type(limit_w) is int and 0 <= limit_w <= MAX_LIMIT_W
    well = well and type(duration_s) is int and 1 <= duration_s <= MAX_DURATION_S
    return 0 if well else codes.BAD_LIMIT
