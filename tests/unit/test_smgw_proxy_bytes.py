"""Channels through the gateway are transparent: every byte both ways, slow sides waited for."""

import asyncio
import hashlib
import random

from proxy_kit import MIB, Sink, bench, pki, until
from tls_kit import HOST

from clsbench.net.socks_tls_io import open_socks_tls

__all__ = ["pki"]


async def pour(transport, data, total):
    """Writes `total` bytes, never more than a buffer ahead of the other side."""
    sent = 0
    while sent < total:
        if transport.get_write_buffer_size() < MIB:
            transport.write(data)
            sent += len(data)
        await asyncio.sleep(0)


async def test_both_ways_at_once_every_byte_comes_as_it_went_in(pki):
    total, chunk = 12 * MIB, random.Random(1).randbytes(MIB)
    expected = hashlib.sha256(chunk * 12).hexdigest()
    async with bench(pki) as b:
        b.make = Sink
        heard = Sink()
        box = await open_socks_tls(HOST, b.port, b.client(), "emt.flexmarkt", heard)
        await until(lambda: b.made)
        emt = b.made[0]
        async with asyncio.timeout(120):
            await asyncio.gather(
                pour(box, chunk, total),
                pour(emt.transport, chunk, total),
                emt.until(total),
                heard.until(total),
            )
        assert (emt.hash.hexdigest(), heard.hash.hexdigest()) == (expected, expected)
        box.close()
        await until(lambda: b.told.of("proxy.closed"))
        closed = b.told.of("proxy.closed")[0]
        assert (closed["to_wan"], closed["to_box"]) == (total, total)


async def test_a_side_that_does_not_read_holds_the_other_up(pki):
    total, chunk = 16 * MIB, random.Random(2).randbytes(MIB)
    async with bench(pki) as b:
        b.make = Sink
        box = await open_socks_tls(HOST, b.port, b.client(), "emt.flexmarkt", Sink())
        await until(lambda: b.made)
        emt = b.made[0]
        emt.transport.pause_reading()
        pouring = asyncio.create_task(pour(box, chunk, total))
        held = -1
        while held != b.engine.states()[0]["to_wan"]:  # until nothing moves any more
            held = b.engine.states()[0]["to_wan"]
            await asyncio.sleep(0.3)
        assert held < total - 4 * MIB
        emt.transport.resume_reading()
        await pouring
        await emt.until(total)
        assert emt.hash.hexdigest() == hashlib.sha256(chunk * 16).hexdigest()
