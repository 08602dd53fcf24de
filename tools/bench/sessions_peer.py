"""The peer of the sessions benchmark: asyncio's own TLS server, which does nothing but echo.

    python tools/bench/sessions_peer.py PKI_DIR rules|plain

Same certificates, version, suites and curve as the gateway's HAN. rules: OpenSSL looks at the
revocation list and is strict with certificates, and no session is resumed, as it is at the
gateway's. Prints its port.
"""

import asyncio
import ssl
import sys
from pathlib import Path

from clsbench.net.tls_openssl import keep_no_sessions
from clsbench.net.tls_policy import SUITES_12
from clsbench.pki.layout import Pki


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport to answer on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes to send back."""
        self._transport.write(data)


def context(pki: Pki, rules: bool = False) -> ssl.SSLContext:
    """A plain context with the suites and the curve of the HAN. rules: as above."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.verify_mode = ssl.CERT_REQUIRED
    made.set_ciphers(":".join(SUITES_12))
    made.set_ecdh_curve("prime256v1")
    made.options |= ssl.OP_NO_TICKET
    made.load_verify_locations(pki.han_trust)
    made.load_cert_chain(pki.smgw_han.cert, pki.smgw_han.key)
    if rules:
        made.load_verify_locations(pki.han_crl)
        made.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_CRL_CHECK_LEAF
        keep_no_sessions(made)
    return made


async def main(folder: str, rules: bool) -> None:
    """Serves until it is killed."""
    loop = asyncio.get_running_loop()
    made = context(Pki.open(Path(folder)), rules)
    server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=made, backlog=128)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2] == "rules"))
