"""A GiB each way through the gateway's proxy, hashes compared; and its speed beside a bare proxy.

    python tools/channel_gib.py [--mib N] [--compare]

A box opens a channel by SOCKS-TLS (P-256), the gateway leads it to a market participant by TLS
(brainpool), each in a process of its own; random bytes of one key stream travel both ways at once.
--compare: instead, MB/s of the channel without SOCKS frames (TLS on both sides, as in channels
that the gateway opens) beside a proxy of asyncio streams between the same TLS contexts, in turns.
Exit code 1 where a hash differs, or the channel has less than 0.9 of the bare proxy's speed.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from clsbench.net import tls
from clsbench.net.listener import TlsListener, open_tls
from clsbench.net.socks_tls_io import Call, SocksTlsListener, open_socks_tls
from clsbench.pki.layout import Pki
from clsbench.smgw.cls.relay import Relay

HOST = "127.0.0.1"
SMGW, CLS, EMT = "ETST0010000001", "ETST0020000017", "flexmarkt"
MIB = 1024 * 1024
ROUNDS = 5


def chunk_of(index: int, way: bytes) -> bytes:
    """One MiB of a stream that nobody can guess from another."""
    return hashlib.shake_128(way + index.to_bytes(8, "big")).digest(MIB)


class End(asyncio.Protocol):
    """Sends `total` MiB of its stream as fast as they are taken; hashes what comes."""

    def __init__(self, way: bytes, total: int, received: int):
        self.done = asyncio.get_running_loop().create_future()
        self.hash, self.sent_hash = hashlib.sha256(), hashlib.sha256()
        self._way, self._total = way, total
        self._left = received * MIB
        self._index = 0
        self._ready = asyncio.Event()
        self._ready.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._task = asyncio.create_task(self._send())

    async def _send(self) -> None:
        for index in range(self._total):
            data = chunk_of(index % 64, self._way)
            self.sent_hash.update(data)
            await self._ready.wait()
            self._transport.write(data)
        self._sent = True
        self._look()

    def pause_writing(self) -> None:
        self._ready.clear()

    def resume_writing(self) -> None:
        self._ready.set()

    def data_received(self, data: bytes) -> None:
        self.hash.update(data)
        self._left -= len(data)
        self._look()

    _sent = False

    def _look(self) -> None:
        if self._sent and self._left == 0 and not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(f"lost with {self._left} bytes to come"))

    def hashes(self) -> tuple[str, str]:
        """Of what was sent, and of what came."""
        return self.sent_hash.hexdigest(), self.hash.hexdigest()


class Plain:
    """asyncio's own streams between two TLS connections: what the channel is measured with."""

    def __init__(self, wan_port: int, contexts: tuple) -> None:
        self._port, (_, self._wan) = wan_port, contexts

    async def joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Joins an accepted connection with one to the market participant."""
        there, away = await asyncio.open_connection(
            HOST, self._port, ssl=self._wan, server_hostname=""
        )
        with contextlib.suppress(OSError):
            await asyncio.gather(_pump(reader, away), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def gateway(folder: Path, told: Connection, kind: str) -> None:
    """The gateway's process. kind: socks, tls or bare. Ends when `told` is closed."""
    pki = Pki.open(folder)
    wan = tls.wan_client(pki.smgw.tls, pki.wan_trust)
    han = tls.han_server(pki.smgw_han, pki.han_trust)
    loop = asyncio.get_running_loop()
    wan_port = await loop.run_in_executor(None, told.recv)

    async def lead(relay: Relay) -> None:
        await open_tls(HOST, wan_port, wan, "EMT", EMT, lambda: relay.wan)

    async def serve(call: Call) -> None:
        relay = Relay(lambda reason: None)
        await lead(relay)
        call.accept(relay.box)

    opening: set[asyncio.Task[None]] = set()

    def accept(peer: tls.Peer) -> asyncio.BaseProtocol:
        relay = Relay(lambda reason: None)
        opening.add(asyncio.create_task(lead(relay)))
        return relay.box

    if kind == "bare":
        server = await asyncio.start_server(Plain(wan_port, (han, wan)).joined, HOST, 0, ssl=han)
        port = server.sockets[0].getsockname()[1]
    elif kind == "tls":
        port = await TlsListener(han, accept, _refused).start(HOST, 0)
    else:
        port = await SocksTlsListener(han, lambda peer: None, serve, _refused).start(HOST, 0)
    told.send(port)
    with contextlib.suppress(EOFError):
        await loop.run_in_executor(None, told.recv)


def _refused(reason: str, address: str) -> None:
    print(f"channel_gib: refused {address}: {reason}", file=sys.stderr)


async def market(folder: Path, told: Connection, mib: int) -> None:
    """The market participant's process: one connection, then its hashes."""
    pki = Pki.open(folder)
    ends: list[End] = []
    came = asyncio.Event()

    def accept(peer: tls.Peer) -> asyncio.BaseProtocol:
        ends.append(End(b"market", mib, mib))
        came.set()
        return ends[-1]

    context = tls.wan_server(pki.emt(EMT).tls, pki.wan_trust)
    told.send(await TlsListener(context, accept, _refused).start(HOST, 0))
    await came.wait()
    await ends[0].done
    told.send(ends[0].hashes())
    with contextlib.suppress(EOFError):
        await asyncio.get_running_loop().run_in_executor(None, told.recv)


def process(run: Callable, *arguments: object) -> tuple[multiprocessing.Process, Any]:
    """`run(..., connection)` in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    made = multiprocessing.Process(target=_main, args=(run, theirs, arguments), daemon=True)
    made.start()
    theirs.close()
    return made, ours


def _main(run: Callable, told: Connection, arguments: tuple) -> None:
    folder, *rest = arguments
    asyncio.run(run(folder, told, *rest))


async def once(folder: Path, kind: str, mib: int) -> tuple[float, bool]:
    """Seconds for `mib` MiB each way at once, and whether every byte came as it went in."""
    pki = Pki.open(folder)
    there, market_told = process(market, folder, mib)
    here, gateway_told = process(gateway, folder, kind)
    loop = asyncio.get_running_loop()
    gateway_told.send(await loop.run_in_executor(None, market_told.recv))
    port = await loop.run_in_executor(None, gateway_told.recv)
    end = End(b"box", mib, mib)
    context = tls.han_client(pki.cls(CLS), pki.han_trust)
    begin = time.perf_counter()
    if kind == "socks":
        transport = await open_socks_tls(HOST, port, context, "market", end)
    else:
        transport, _ = await open_tls(HOST, port, context, "SMGW", SMGW, lambda: end)
    await end.done
    sent, came = await loop.run_in_executor(None, market_told.recv)
    took = time.perf_counter() - begin
    transport.close()
    for told, made in ((market_told, there), (gateway_told, here)):
        told.close()
        made.join(5)
        made.kill()
    return took, (came, sent) == end.hashes()


async def compare(folder: Path, mib: int) -> bool:
    """Prints the speed of channel and bare proxy, measured in turns; whether it suffices."""
    speeds: dict[str, list[float]] = {"tls": [], "bare": []}
    for _ in range(ROUNDS):
        for kind, found in speeds.items():
            took, same = await once(folder, kind, mib)
            if not same:
                return False
            found.append(2 * mib / took)
    channel, bare = statistics.median(speeds["tls"]), statistics.median(speeds["bare"])
    figures = {"channel MiB/s": round(channel, 1), "bare MiB/s": round(bare, 1)}
    print(json.dumps(figures | {"ratio": round(channel / bare, 2), "rounds": ROUNDS}))
    return channel >= 0.9 * bare


async def whole(folder: Path, mib: int) -> bool:
    """One run through SOCKS-TLS; prints its figures."""
    took, same = await once(folder, "socks", mib)
    word = "every byte as it went in" if same else "HASHES DIFFER"
    print(f"{mib} MiB each way at once in {took:.0f} s, {2 * mib / took:.0f} MiB/s: {word}")
    return same


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="A GiB each way through the proxy.")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--compare", action="store_true", help="speed beside a bare proxy")
    given = parser.parse_args()
    multiprocessing.set_start_method("spawn")
    with tempfile.TemporaryDirectory(prefix="channel-") as name:
        folder = Path(name) / "pki"
        Pki.init(folder, SMGW, "gwa-test", [EMT], [CLS])
        run = compare if given.compare else whole
        return 0 if asyncio.run(run(folder, given.mib)) else 1


if __name__ == "__main__":
    sys.exit(main())
