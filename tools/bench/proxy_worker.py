"""The processes of the proxy benchmark.

    python tools/bench/proxy_worker.py PKI_DIR echo|bare [PORT]

echo: TLS server that sends back what comes. bare: plain TLS proxy of asyncio's streams before the
echo server on PORT. Prints its port. Imports nothing that changes how asyncio reads.
"""

import asyncio
import contextlib
import ssl
import sys
from pathlib import Path

from sessions_peer import Echo, context

from clsbench.pki.layout import DEFAULT_CLS, Pki


def client_context(pki: Pki) -> ssl.SSLContext:
    """A plain context of a box."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.load_verify_locations(pki.han_trust)
    identity = pki.cls(DEFAULT_CLS)
    made.load_cert_chain(identity.cert, identity.key)
    return made


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction of the plain proxy."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def bare(pki: Pki, port: int) -> asyncio.Server:
    """The plain proxy."""
    outward = client_context(pki)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=outward, server_hostname=""
        )
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context(pki))


async def main(folder: str, mode: str, port: int) -> None:
    """Serves until it is killed."""
    pki = Pki.open(Path(folder))
    if mode == "bare":
        server = await bare(pki, port)
    else:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=context(pki))
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int((sys.argv + ["0"])[3])))
