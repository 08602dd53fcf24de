"""The client of the proxy benchmark that speaks SOCKS-TLS, as a control box does.

    python tools/bench/proxy_box.py PKI_DIR PORT PID

As proxy_client.py, with frames around its TLS; these are of the product, and cost it time, too.
"""

import asyncio
import sys
from pathlib import Path

from proxy_client import talk

from clsbench.net.socks_tls_io import open_socks_tls
from clsbench.net.tls import han_client
from clsbench.pki.layout import DEFAULT_CLS, Pki


async def main(folder: str, port: int, pid: int) -> None:
    """One round."""
    pki = Pki.open(Path(folder))
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    box = han_client(pki.cls(DEFAULT_CLS), pki.han_trust)
    transport = await open_socks_tls("127.0.0.1", port, box, "echo.bench", protocol)
    loop = asyncio.get_running_loop()
    await talk(reader, asyncio.StreamWriter(transport, protocol, reader, loop), pid)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
