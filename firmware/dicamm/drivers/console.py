"""Console port: the board's own REPL line as a byte stream for the bench link.

Ctrl-C keeps its meaning, so that stock mpremote can always take the board over; the bench
link never sends that byte.
"""

import asyncio
import select
import sys


class Console:
    """Non-blocking reads, blocking writes; portable over USB, UART and pty consoles, where a
    read of more than what is there would block."""

    def __init__(self):
        self._input = sys.stdin.buffer
        self._output = sys.stdout.buffer
        self._poll = select.poll()
        self._poll.register(self._input, select.POLLIN)
        self._byte = bytearray(1)

    def receive(self, buffer):
        """Takes what has arrived into `buffer`; returns the number of bytes, 0 when none."""
        count = 0
        while count < len(buffer) and self._poll.poll(0):
            if not self._input.readinto(self._byte):  # pyright: ignore - every port has it
                break
            buffer[count] = self._byte[0]
            count += 1
        return count

    async def wait(self):
        """Returns after a short while; the caller looks again."""
        await asyncio.sleep_ms(5)

    def send(self, data):
        """Writes all of `data`."""
        self._output.write(data)
