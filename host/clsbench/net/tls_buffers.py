"""How much memory asyncio gives a TLS connection to read into.

asyncio takes 256 KiB for each, which is most of what an idle session costs. What it reads is
copied out before the next connection is read, so one buffer does for all of them (of a thread);
TLS itself is read in pieces of one record, which is at most 16 KiB (RFC 8446 section 5.1).
There is no setting for it, only the attributes that all its versions have.
"""

import sys
import threading
from asyncio import sslproto

READ_BUFFER_BYTES = 64 * 1024
RECORD_BYTES = 16 * 1024


def shrink_read_buffers() -> None:
    """For every TLS connection that this process makes from now on."""
    protocol = sslproto.SSLProtocol
    if not hasattr(protocol, "max_size"):
        return
    protocol.max_size = RECORD_BYTES
    if sys.platform != "win32":  # there a buffer is given away until something has come
        protocol._ssl_buffer = _Shared()  # pyright: ignore[reportAttributeAccessIssue]
        protocol._ssl_buffer_view = _Shared()  # pyright: ignore[reportAttributeAccessIssue]


class _Shared:
    """An attribute that is the same for all: what a connection sets is dropped."""

    _of_thread = threading.local()

    def __get__(self, connection: object, owner: type) -> memoryview:
        try:
            return self._of_thread.view
        except AttributeError:
            self._of_thread.view = memoryview(bytearray(READ_BUFFER_BYTES))
            return self._of_thread.view

    def __set__(self, connection: object, value: object) -> None:
        return None
