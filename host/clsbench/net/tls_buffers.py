"""How much memory asyncio gives a TLS connection to read into.

asyncio takes 256 KiB for each, which is most of what an idle session costs. No TLS record is
longer than 16 KiB (RFC 8446 section 5.1), so a buffer of one record holds all that OpenSSL
needs to go on. There is no setting for it, only the class attribute that all its versions have.
"""

from asyncio import sslproto

READ_BUFFER_BYTES = 16 * 1024


def shrink_read_buffers() -> None:
    """For every TLS connection that this process makes from now on."""
    if hasattr(sslproto.SSLProtocol, "max_size"):
        sslproto.SSLProtocol.max_size = READ_BUFFER_BYTES
