"""RS-485 port: a UART with a driver-enable pin that is released when the last bit has left.

Knows bytes only. One bus owner task uses it (`app.bus`); nobody else touches the line.
"""

import asyncio


class Rs485:
    """uart: machine.UART look-alike. drive_enable: output pin, high while sending, or None for
    a transceiver that switches by itself. baud and bits_per_char as configured on the UART."""

    def __init__(self, uart, baud, bits_per_char=10, drive_enable=None):
        self._uart = uart
        self._drive_enable = drive_enable
        self.baud = baud
        self.bits_per_char = bits_per_char

    async def send(self, data):
        """Writes `data` and returns when it has left the shift register, driver off again."""
        if self._drive_enable is not None:
            self._drive_enable.value(1)
        self._uart.write(data)
        while not self._uart.txdone():
            await asyncio.sleep_ms(1)
        if self._drive_enable is not None:
            self._drive_enable.value(0)

    def receive(self, buffer):
        """Takes what has arrived into `buffer`; returns the number of bytes, 0 when none."""
        if not self._uart.any():
            return 0
        return self._uart.readinto(buffer) or 0
