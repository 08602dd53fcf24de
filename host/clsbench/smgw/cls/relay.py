"""Two TLS connections joined byte for byte: what comes in on one goes out on the other.

Bounded: a side whose peer does not take its bytes is not read on. Counted both ways. When one
side ends, the other is given what is on its way and closed. Knows no profiles and no TLS.
Source: BSI Detailspezifikationen 2.0, chapter 11 (the channel is transparent).
"""

import asyncio
from collections.abc import Callable
from typing import cast

WRITE_LIMIT = 64 * 1024  # bytes that may wait for a slow side before the other is not read

BOX, WAN = "box", "wan"


class Relay:
    """`box` and `wan`: the protocols to put on the two connections, in any order.

    on_end(reason): once, when either connection has ended or `close` was called.
    """

    def __init__(self, on_end: Callable[[str], None]):
        self.box = _Half(self, BOX)
        self.wan = _Half(self, WAN)
        self.box.other, self.wan.other = self.wan, self.box
        self.ended = False
        self._on_end = on_end

    @property
    def to_wan(self) -> int:
        """Bytes from the box to the WAN."""
        return self.box.received

    @property
    def to_box(self) -> int:
        """Bytes from the WAN to the box."""
        return self.wan.received

    def close(self, reason: str) -> None:
        """Ends both connections."""
        if self.ended:
            return
        self.ended = True
        for half in (self.box, self.wan):
            if half.transport is not None:
                half.transport.close()
        self._on_end(reason)


class _Half(asyncio.Protocol):
    """One side; nothing is read from it before the other side is there."""

    def __init__(self, relay: Relay, name: str):
        self.received = 0
        self.transport: asyncio.Transport | None = None
        self.other = self
        self._relay = relay
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_LIMIT)
        if self._relay.ended:
            self.transport.close()
        elif self.other.transport is None:
            self.transport.pause_reading()
        else:
            _read_again(self.transport)
            _read_again(self.other.transport)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        other = self.other.transport
        if other is not None:
            other.write(data)

    def pause_writing(self) -> None:
        other = self.other.transport
        if other is not None and not other.is_closing():
            other.pause_reading()

    def resume_writing(self) -> None:
        if self.other.transport is not None:
            _read_again(self.other.transport)

    def eof_received(self) -> None:
        self._relay.close(f"closed by the {self._name} side")

    def connection_lost(self, exc: Exception | None) -> None:
        lost = f"{self._name} side lost: {exc}" if exc else f"closed by the {self._name} side"
        self._relay.close(lost)


def _read_again(transport: asyncio.Transport) -> None:
    if not transport.is_closing() and not transport.is_reading():
        transport.resume_reading()
