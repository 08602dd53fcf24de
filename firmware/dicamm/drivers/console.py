"""Console port: the board's own REPL line as a byte stream for the bench link.

Ctrl-C keeps its meaning, so that stock mpremote can always take the board over; the bench
link never sends that byte.
"""

import asyncio
import select
import sys

_WAIT_MS = 1000  # so that who waits can tell that it lives
_AT_END_MS = 20


class Console:
    """Non-blocking reads, blocking writes; portable over USB, UART and pty consoles, where a
    read of more than what is there would block."""

    def __init__(self):
        self._input = sys.stdin.buffer
        self._output = sys.stdout.buffer
        self._reader = asyncio.StreamReader(self._input)
        self._poll = select.poll()
        self._poll.register(self._input, select.POLLIN)
        self._byte = bytearray(1)
        self._first = b""  # what `wait` has taken already

    def receive(self, buffer):
        """Takes what has arrived into `buffer`; returns the number of bytes, 0 when none."""
        count = 0
        if self._first:
            buffer[0] = self._first[0]
            self._first = b""
            count = 1
        while count < len(buffer) and self._readable():
            if not self._input.readinto(self._byte):  # pyright: ignore - every port has it
                break
            buffer[count] = self._byte[0]
            count += 1
        return count

    def _readable(self):
        found = False
        for _ in self._poll.ipoll(0):  # pyright: ignore - unlike poll it makes no list
            found = True
        return found

    async def wait(self):
        """Returns when something has come, or after a while; the CPU sleeps meanwhile."""
        try:
            self._first = await asyncio.wait_for_ms(self._reader.read(1), _WAIT_MS)  # pyright: ignore
            if not self._first:
                await asyncio.sleep_ms(_AT_END_MS)
        except asyncio.TimeoutError:
            pass

    def send(self, data):
        """Writes all of `data`."""
        self._output.write(data)
