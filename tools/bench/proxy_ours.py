"""The gateway's side of the proxy benchmark: its listener, its connections outward, its relay.

    python tools/bench/proxy_ours.py PKI_DIR PORT tls|socks

A proxy before the echo server on PORT, for boxes that speak TLS, or SOCKS-TLS. Prints its port.
"""

import asyncio
import ssl
import sys
from dataclasses import replace
from pathlib import Path

from clsbench.net.listener import TlsListener, open_tls
from clsbench.net.socks_tls_io import Call, SocksTlsListener
from clsbench.net.tls import han_client, han_server
from clsbench.net.tls_policy import HAN_SECP256R1
from clsbench.pki.layout import DEFAULT_CLS, Pki
from clsbench.smgw.cls.relay import Relay


def told(*refusal: str) -> None:
    """Of a box that did not get in."""
    print(refusal, file=sys.stderr)


async def main(folder: str, port: int, way: str) -> None:
    """Serves until it is killed."""
    pki = Pki.open(Path(folder))
    outward = han_client(pki.cls(DEFAULT_CLS), pki.han_trust)
    outward.maximum_version = ssl.TLSVersion.TLSv1_2
    opening = set()

    async def far(relay: Relay) -> None:
        await open_tls("127.0.0.1", port, outward, "SMGW", None, lambda: relay.wan)

    def accept(peer: object) -> asyncio.BaseProtocol:
        relay = Relay(lambda reason: None)
        opening.add(asyncio.ensure_future(far(relay)))
        return relay.box

    async def serve(call: Call) -> None:
        relay = Relay(lambda reason: None)
        await far(relay)
        call.accept(relay.box)

    own = pki.smgw_han
    if way == "socks":
        policy = replace(HAN_SECP256R1, tls_13=False)
        context = han_server(own, pki.han_trust, policy=policy)
        listener = SocksTlsListener(context, lambda peer: None, serve, told)
    else:
        listener = TlsListener(han_server(own, pki.han_trust), accept, told)
    print(await listener.start("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
