"""RS-485 port: a UART with a driver-enable pin that is released when the last bit has left.

Knows bytes and how long they take. One bus owner task uses it (`app.bus`); nobody else touches
the line. Allocates nothing per byte.
"""

import time

_SPIN_US = 300  # the last of a sending, which is not left to the other tasks' goodwill
_LATE_US = 2000  # so late the timer has certainly missed
_MARGIN_US = 400  # at least, from the order to send to the first bit; less than 3.5 characters


class Rs485:
    """uart: machine.UART look-alike with timeout 0. baud and bits_per_char as configured on it.

    drive_enable: output pin, high while sending; None for a transceiver that switches by itself.
    timer: machine.Timer look-alike that releases it, whatever the other tasks do meanwhile;
    without one the owner of the bus has to come back in time. Or a `pulse.Pulse`, which drives
    the pin itself, whatever the CPU does.
    local_echo: the receiver hears what we send. receive_lag_us: how late a received byte may
    show (FIFO thresholds, schedulers); so much longer must the line be quiet until a reply
    counts as broken off. An RP2040 needs 4 characters; an ESP32 hands bytes on after 120 of
    them or a pause of 10; the default is for a PC under load.
    """

    def __init__(
        self,
        uart,
        baud,
        bits_per_char=10,
        drive_enable=None,
        local_echo=False,
        receive_lag_us=50000,
        timer=None,
    ):
        self._uart = uart
        self._drive_enable = drive_enable
        self._pulse = timer if hasattr(timer, "start") else None
        self._timer = None if self._pulse else timer
        self._when_sent = self._release
        self._sending = False
        self._byte = bytearray(1)
        self._begin = 0
        self._duration_us = 0
        self.baud = baud
        self.bits_per_char = bits_per_char
        self.local_echo = local_echo
        self.receive_lag_us = receive_lag_us
        self.char_us = (bits_per_char * 1000000 + baud - 1) // baud

    def send(self, data):
        """Begins to send `data`; to be followed by sending_ms() until that says it has left."""
        if self._drive_enable is not None:
            self._drive_enable.value(1)
        self._sending = True
        self._duration_us = len(data) * self.bits_per_char * 1000000 // self.baud
        self._begin = time.ticks_us()
        if self._pulse is not None:
            self._duration_us += max(self.char_us * 3 // 2, _MARGIN_US)
            self._pulse.start(self._duration_us)
        self._uart.write(data)
        timer = self._timer
        if timer is not None:
            left_us = max(self._left_us(), 1)
            timer.init(
                mode=timer.ONE_SHOT, period=left_us, tick_hz=1000000, callback=self._when_sent
            )

    def sending_ms(self):
        """How long to sleep before asking again; -1 when the last bit has left and the driver
        is off. Without a timer the very last of a sending is waited out here: a reply may begin
        3.5 characters later, and the other tasks cannot be relied upon to be done by then."""
        left_us = self._left_us()
        if self._pulse is not None:
            return left_us // 1000 + 1 if left_us > 0 else -1
        if self._drive_enable is None:
            return -1 if self._uart.txdone() else 1
        if self._timer is not None:
            if self._sending and left_us > -_LATE_US:
                return max(left_us // 1000, 1)
        elif left_us > _SPIN_US:
            return (left_us - _SPIN_US) // 1000
        if self._sending:
            self._release(None)
        return -1

    def _release(self, _timer):
        while not self._uart.txdone() and self._left_us() > -self._duration_us:
            pass
        self._drive_enable.value(0)
        self._sending = False

    def _left_us(self):
        return self._duration_us - time.ticks_diff(time.ticks_us(), self._begin)

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
