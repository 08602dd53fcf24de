"""The gateway's side of the proxy benchmark: its listener, its connections outward, its relay.

    python tools/bench/proxy_ours.py PKI_DIR PORT

A TLS proxy before the echo server on PORT. Prints its port.
"""

import asyncio
import ssl
import sys
from pathlib import Path

from clsbench.net.listener import TlsListener, open_tls
from clsbench.net.tls import han_client, han_server
from clsbench.pki.layout import DEFAULT_CLS, Pki
from clsbench.smgw.cls.relay import Relay


async def main(folder: str, port: int) -> None:
    """Serves until it is killed."""
    pki = Pki.open(Path(folder))
    outward = han_client(pki.cls(DEFAULT_CLS), pki.han_trust)
    outward.maximum_version = ssl.TLSVersion.TLSv1_2
    opening = set()

    def accept(peer: object) -> asyncio.BaseProtocol:
        relay = Relay(lambda reason: None)
        far = open_tls("127.0.0.1", port, outward, "SMGW", None, lambda: relay.wan)
        opening.add(asyncio.ensure_future(far))
        return relay.box

    server = han_server(pki.smgw_han, pki.han_trust)
    listener = TlsListener(server, accept, lambda *told: print(told, file=sys.stderr))
    print(await listener.start("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
