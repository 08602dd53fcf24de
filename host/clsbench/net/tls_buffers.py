"""How much memory asyncio gives a TLS connection to read into.

asyncio takes 256 KiB for each, which is most of what an idle session costs. What it reads is
copied out before the next connection is read, so one buffer does for all of them (of a thread);
TLS itself is read in pieces of one record, which is at most 16 KiB (RFC 8446 section 5.1).
There is no setting for it, only the attributes that all its versions have.
"""

import sys
import threading
from asyncio import sslproto

READ_BUFFER_BYTES = 16 * 1024  # a longer one: fewer steps, each of which the next hop waits for
_SHAREABLE = sys.platform != "win32"  # there a buffer is given away until something has come


class SharedBuffer:
    """Memory to read into for all who take out at once what was read.

    As a class's attribute it stands in for each object's own: what they set is dropped.
    """

    def __init__(self, size: int):
        self._size = size
        self._of_thread = threading.local()

    def view(self) -> memoryview:
        """The buffer; where none can be shared, a new one."""
        if not _SHAREABLE:
            return memoryview(bytearray(self._size))
        try:
            return self._of_thread.view
        except AttributeError:
            self._of_thread.view = memoryview(bytearray(self._size))
            return self._of_thread.view

    def __get__(self, _: object, owner: type) -> memoryview:
        return self.view()

    def __set__(self, _: object, value: object) -> None:
        return None


def shrink_read_buffers() -> None:
    """For every TLS connection that this process makes from now on."""
    protocol = sslproto.SSLProtocol
    if not hasattr(protocol, "max_size"):
        return
    protocol.max_size = READ_BUFFER_BYTES
    if _SHAREABLE:
        shared = SharedBuffer(READ_BUFFER_BYTES)
        protocol._ssl_buffer = shared  # pyright: ignore[reportAttributeAccessIssue]
        protocol._ssl_buffer_view = shared  # pyright: ignore[reportAttributeAccessIssue]
