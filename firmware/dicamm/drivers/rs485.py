"""RS-485 port: a UART with a driver-enable pin that is released when the last bit has left.

Knows bytes and how long they take. One bus owner task uses it (`app.bus`); nobody else touches
the line. Allocates nothing per byte.
"""

import asyncio
import time

_SPIN_US = 300  # the last of a sending, which is not left to the other tasks' goodwill


class Rs485:
    """uart: machine.UART look-alike with timeout 0. baud and bits_per_char as configured on it.

    drive_enable: output pin, high while sending; None for a transceiver that switches by itself.
    local_echo: the receiver hears what we send. receive_lag_us: how late a received byte may
    show (FIFO thresholds, schedulers); so much longer must the line be quiet until a reply
    counts as broken off. An ESP32 hands bytes on after 120 of them or a pause of 10.
    """

    def __init__(
        self,
        uart,
        baud,
        bits_per_char=10,
        drive_enable=None,
        local_echo=False,
        receive_lag_us=20000,
    ):
        self._uart = uart
        self._drive_enable = drive_enable
        self._byte = bytearray(1)
        self.baud = baud
        self.bits_per_char = bits_per_char
        self.local_echo = local_echo
        self.receive_lag_us = receive_lag_us
        self.char_us = (bits_per_char * 1000000 + baud - 1) // baud

    async def send(self, data):
        """Writes `data` and returns when its last bit has left, the driver off again."""
        uart = self._uart
        pin = self._drive_enable
        if pin is not None:
            pin.value(1)
        begin = time.ticks_us()
        uart.write(data)
        duration_us = len(data) * self.bits_per_char * 1000000 // self.baud
        if pin is None:
            await pause_us(begin, duration_us)
            return
        await pause_us(begin, duration_us - _SPIN_US)
        while not uart.txdone() and time.ticks_diff(time.ticks_us(), begin) < 2 * duration_us:
            pass  # a reply may begin 3.5 characters from now: the driver must be off by then
        pin.value(0)

    def receive(self, buffer):
        """Takes what has arrived into `buffer`; returns the number of bytes, 0 when none.

        Never asks the UART for more than it says it has: it would wait for the next byte.
        """
        uart = self._uart
        count = uart.any()
        if count > 1:
            return uart.readinto(buffer, min(count, len(buffer))) or 0
        count = 0
        while count < len(buffer) and uart.any():  # 1 may mean more, where ports do not count
            if not uart.readinto(self._byte, 1):
                break
            buffer[count] = self._byte[0]
            count += 1
        return count


async def pause_us(begin, duration_us):
    """Returns when `duration_us` have passed since `begin` (time.ticks_us), the last fraction of
    a millisecond by looking again and again; the other tasks run meanwhile."""
    while True:
        left_us = duration_us - time.ticks_diff(time.ticks_us(), begin)
        if left_us <= 0:
            return
        await asyncio.sleep_ms(left_us // 1000)
