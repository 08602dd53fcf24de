"""TLS whose records travel in frames of at most 2034 bytes: the wired LMN's HDLC.

Knows bytes, no frames and no line; both ends use it. No record is longer than a frame's
information field, and none is spread over two. Python's ssl cannot negotiate
max_fragment_length: what is sent is cut to fit instead, and handshake records, which are sent
in the clear, are split; records received may have any length TLS allows.
Source: BSI Detailspezifikationen 2.0, chapter 8; RFC 5246, 6.2.1 (fragmentation).
"""

import ssl
from collections.abc import Iterator

MAX_FRAME = 2034
MAX_PLAIN = 1900  # of one record: leaves room for header, vector, code and padding
_HEADER = 5
_HANDSHAKE = 22
_CHANGE_CIPHER_SPEC = 20


class FramedTls:
    """One session. established: the handshake is over. Raises ssl.SSLError where TLS fails."""

    def __init__(self, context: ssl.SSLContext, server: bool):
        self.established = False
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server)
        self._ciphered = False  # what is sent from now on is encrypted

    def feed(self, information: bytes) -> bytes:
        """Takes what a frame carried; returns what it says, once the handshake is over."""
        self._incoming.write(information)
        if not self.established:
            self.shake_hands()
        plain = b""
        while self.established:
            try:
                part = self._tls.read()
            except ssl.SSLWantReadError:
                break
            if not part:
                raise ssl.SSLError("closed by the other side")
            plain += part
        return plain

    def shake_hands(self) -> None:
        """Goes on with the handshake as far as it can."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        self.established = True

    def write(self, plain: bytes) -> None:
        """Encrypts, in records that fit."""
        for at in range(0, len(plain), MAX_PLAIN):
            self._tls.write(plain[at : at + MAX_PLAIN])

    def frames(self) -> list[bytes]:
        """What is to be sent: information fields, whole records in each."""
        found: list[bytes] = []
        for record in self._records(self._outgoing.read()):
            if found and len(found[-1]) + len(record) <= MAX_FRAME:
                found[-1] += record
            else:
                found.append(record)
        return found

    def cipher(self) -> str:
        """The suite agreed on, "" before."""
        agreed = self._tls.cipher()
        return agreed[0] if agreed else ""

    def _records(self, data: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(data):
            end = at + _HEADER + int.from_bytes(data[at + 3 : at + 5], "big")
            record = data[at:end]
            if record[0] == _CHANGE_CIPHER_SPEC:
                self._ciphered = True
            if record[0] == _HANDSHAKE and not self._ciphered:
                yield from split_record(record)
            elif len(record) > MAX_FRAME:
                raise ssl.SSLError(f"record of {len(record)} bytes fits no frame")
            else:
                yield record
            at = end


def split_record(record: bytes) -> Iterator[bytes]:
    """A record in the clear as several that fit a frame."""
    body, room = record[_HEADER:], MAX_FRAME - _HEADER
    for at in range(0, len(body), room):
        part = body[at : at + room]
        yield record[:3] + len(part).to_bytes(2, "big") + part
