"""The USB console as a byte stream in virtual time."""

from typing import Any

_LOOK_NS = 0.25e6  # a host hands out more as soon as there is room


class Console:
    """What the board says waits here for `read`; what is written waits until the board asks."""

    def __init__(self) -> None:
        self._cdc: Any = None
        self._said = bytearray()
        self._waiting = bytearray()
        self._alarm: Any = None

    def attach(self, mcu: Any, cdc: Any) -> None:
        """A fresh life of the chip."""
        self._cdc = cdc
        self._waiting.clear()
        cdc.on_serial_data = self._said.extend
        self._alarm = mcu.clock.create_alarm(self._hand_out)

    def detach(self) -> None:
        """The supply is off."""
        self._cdc = None
        self._waiting.clear()

    def write(self, data: bytes) -> None:
        """Sends; nobody hears it while the supply is off."""
        if self._cdc is not None:
            self._waiting += data
            self._hand_out()

    def read(self) -> bytes:
        """All that came since the last call."""
        data = bytes(self._said)
        self._said.clear()
        return data

    def _hand_out(self) -> None:
        fifo = self._cdc.tx_fifo
        room = fifo.size - fifo.item_count
        for byte in self._waiting[:room]:
            fifo.push(byte)
        del self._waiting[:room]
        if hasattr(self._cdc, "host_side"):
            self._cdc.host_side.offer()
        if self._waiting or fifo.item_count:
            self._alarm.schedule(_LOOK_NS)
