"""SOCKS-TLS at the control box: TLS records in frames, and what it says before and behind them.

Opens no sockets: `Framed` stands between a socket and MicroPython's TLS as one more stream.
Whatever comes in is read on or ends the connection, never more than a frame's head is held.
Sources: BSI Detailspezifikationen 2.0, chapter 11; RFC 1928; draft-ietf-aft-socks-ssl-00.
"""

import io

GREETING = b"\x05\x01\x06"  # version 5, one method: TLS
CHOSEN = b"\x05\x06"

_POLL = 3  # MicroPython's stream requests
_CLOSE = 4
_EINVAL = 22
_EIO = 5
_MAX_FRAME = 16384 + 2048 + 5
_CLOSING = b"\x01\x04\x00\x00"


class SocksRefused(Exception):
    """code: the gateway's reply; 2 no such proxy profile, 4 WAN partner silent, 5 refused."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


def connect_request(name):
    """CONNECT to the proxy profile called `name`. Raises ValueError where none can be."""
    data = name.encode()
    good = b"0123456789abcdefghijklmnopqrstuvwxyz-."
    if not 0 < len(data) < 64 or [byte for byte in data if byte not in good]:
        raise ValueError("channel_name: 1 to 63 of 0-9 a-z - .")
    return b"\x05\x01\x00\x03" + bytes((len(data),)) + data + b"\x00\x00"


def refused_pause_ms(chance):
    """How long the next try waits after a refusal: 5 s to 60 s. chance: a random byte."""
    return 5000 + 55000 * chance // 255


async def take_reply(stream):
    """Reads the reply to a CONNECT. Raises SocksRefused, ValueError for what is none."""
    head = await stream.readexactly(5)
    if head[0] != 5 or head[3] not in (1, 3, 4):
        raise ValueError("no SOCKS reply")
    rest = {1: 5, 4: 17}.get(head[3]) or head[4] + 2  # of an address that means nothing
    await stream.readexactly(rest)
    if head[1]:
        raise SocksRefused(head[1])


class Framed(io.IOBase):
    """raw: a socket that does not block. ready(flags): which of them it has, as its poll says.

    fault: what ended it, "" where the other side did.
    """

    def __init__(self, raw, ready):
        self.fault = ""
        self._raw = raw
        self._ready = ready
        self._head = bytearray(4)
        self._got = 0
        self._state = 1
        self._in = 0  # bytes of the frame that is being read
        self._out = 0  # bytes of the record that is being written
        self._pending = b""  # of its frame's head
        self._ciphered = False
        self._closed = False

    def readinto(self, buffer):
        """Bytes of TLS; None: none yet, 0: no more."""
        try:
            while not self._in:
                if self.fault:
                    return 0
                count = self._raw.readinto(memoryview(self._head)[self._got :])
                if not count:
                    return count
                self._got += count
                if self._got == 4:
                    self._begin()
            view = memoryview(buffer)
            count = self._raw.readinto(view[: self._in] if len(view) > self._in else view)
        except OSError:
            self.fault = "lost"
            return 0
        if count:
            self._in -= count
        return count

    def write(self, data):
        """Takes bytes of TLS, a record of which begins where the last one ended."""
        try:
            if not self._out:
                self._out = 5 + (data[3] << 8 | data[4])
                self._pending = bytes(
                    (1, self._state_of(data[0]), self._out >> 8, self._out & 255)
                )
            if self._pending:
                count = self._raw.write(self._pending)
                if count:
                    self._pending = self._pending[count:]
                if self._pending:
                    return None
            view = memoryview(data)
            count = self._raw.write(view[: self._out] if len(view) > self._out else view)
        except OSError as error:
            return -(error.errno or _EIO)
        if count:
            self._out -= count
        return count

    def ioctl(self, request, argument):
        """What MicroPython's TLS asks of the stream under it."""
        if request == _POLL:
            return self._ready(argument)
        if request == _CLOSE:
            self.close()
            return 0
        return -_EINVAL

    def close(self):
        """The closing handshake, as far as it can be said: MicroPython's TLS has no
        close_notify to send; then the socket's end."""
        if not self._closed:
            self._closed = True
            try:
                if not self._out:
                    self._raw.write(_CLOSING)
            except OSError:
                pass  # the other side was quicker
            self._raw.close()

    def _begin(self):
        version, state, high, low = self._head
        size = high << 8 | low
        self._got = 0
        if version != 1 or state not in (1, 3, 4) or state < self._state or size > _MAX_FRAME:
            self.fault = "frame"
            return
        self._state, self._in = state, size
        if state == 4 and not size:
            self.fault = "closed"

    def _state_of(self, kind):
        """handshake 1, data 3, closing 4, by the type of the record."""
        if kind == 20:  # change to encryption
            self._ciphered = True
        if kind == 23:
            return 3
        return 4 if kind == 21 and self._ciphered else 1
