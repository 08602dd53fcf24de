"""A UART with a slave behind it, byte for byte at the baud rate. MicroPython, real time."""

import time

LATENCY_US = 5000  # of the slave


class PacedUart:
    """8N1. Every byte takes its time; the slave answers LATENCY_US after the request."""

    written = []  # when a request began, in microseconds
    replies = {}  # registers asked for -> reply

    def __init__(self, *arguments, **options):
        self.baud = options["baudrate"]
        self._reply = b""
        self._taken = 0
        self._begin = 0

    def write(self, data):
        now = time.ticks_us()
        self.written.append(now)
        self._reply = self.replies[data[4] << 8 | data[5]]
        self._taken = 0
        self._begin = time.ticks_add(now, self._wire_us(len(data)) + LATENCY_US)
        return len(data)

    def any(self):
        passed = time.ticks_diff(time.ticks_us(), self._begin)
        arrived = passed * self.baud // 10000000 if passed > 0 else 0
        return min(arrived, len(self._reply)) - self._taken

    def read(self, count=-1):
        count = self.any()
        part = self._reply[self._taken : self._taken + count]
        self._taken += count
        return part or None

    def readinto(self, buffer, count):
        part = self._reply[self._taken : self._taken + min(count, self.any())]
        buffer[: len(part)] = part
        self._taken += len(part)
        return len(part)

    def txdone(self):
        return time.ticks_diff(time.ticks_us(), self.written[-1]) >= self._wire_us(8)

    def flush(self):
        """Returns when all has left, as on ESP32 and RP2040."""
        left = self._wire_us(8) - time.ticks_diff(time.ticks_us(), self.written[-1])
        time.sleep_us(max(left, 0))

    def _wire_us(self, count):
        return count * 10000000 // self.baud
