"""The management connection when it is opened on a wake-up only.

A wake-up opens it; it stays until the administrator ends it or it has been idle, and is opened
again by the next one. Tries for a while when the administrator does not answer.
Source: BSI Detailspezifikationen 2.0 chapter 2 (version 1: open the management channel).
"""

import asyncio

from clsbench.smgw.journal import FAILURE, WARNING, Journal
from clsbench.smgw.wan.channels import Backoff, Channel

LOOK_S = 0.5  # real seconds between two looks whether the connection is idle


class ManagementOnDemand:
    """channel: not running by itself. idle_s, try_s: real seconds."""

    def __init__(
        self, channel: Channel, journal: Journal, idle_s: float, try_s: float, retry_max_s: float
    ):
        self._channel = channel
        self._journal = journal
        self._idle_s = idle_s
        self._try_s = try_s
        self._retry_max_s = retry_max_s
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """A wake-up was followed."""
        self._asked.set()

    async def run(self) -> None:
        """Opens the connection whenever it was asked for, for ever."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            if not await self._open():
                reason = f"not open within {self._try_s:g} s: {self._channel.last_problem}"
                self._journal.system("wakeup.unanswered", "management", reason, WARNING, FAILURE)
            # asked for while it stood: it stood
            self._asked.clear()

    async def _open(self) -> bool:
        """Returns when the connection has ended again; False when it never stood."""
        loop = asyncio.get_running_loop()
        backoff, until = Backoff(self._retry_max_s), loop.time() + self._try_s
        while True:
            if await self._once():
                return True
            if loop.time() >= until:
                return False
            await backoff.pause(self._asked)

    async def _once(self) -> bool:
        attempt = asyncio.create_task(self._channel.once())
        try:
            while not attempt.done():
                await asyncio.wait([attempt], timeout=LOOK_S)
                if not attempt.done() and self._channel.idle_s() > self._idle_s:
                    return True
            return attempt.result()
        finally:
            attempt.cancel()
            await asyncio.wait([attempt])  # its end is told before this returns
