"""Quarter hours of the wall's clock: a test that counts records is begun when none is near.

Gateway and device make a record of their own at each one.
"""

import asyncio
import time

PERIOD_S, LATEST_S = 900, 10  # a reading is a quarter hour's for 9 s


def pause_s(lasts_s: float) -> float:
    """How long to wait so that no quarter hour falls into the `lasts_s` that follow."""
    left_s = PERIOD_S - time.time() % PERIOD_S
    if left_s < lasts_s:
        return left_s + LATEST_S
    return max(0.0, LATEST_S - (PERIOD_S - left_s))


async def no_quarter_hour(lasts_s: float) -> None:
    """Returns when none falls into the `lasts_s` that follow."""
    await asyncio.sleep(pause_s(lasts_s))
