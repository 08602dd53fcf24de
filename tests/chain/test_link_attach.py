"""Who listens on the console is told; who does not is left alone; gaps are sent again."""

import asyncio
import os
import select
import sqlite3
import uuid as uuidlib

import pytest
from chains import lone_board, running, status_when

from clsbench.bench.chain import ChainOptions
from clsbench.device.link import LinkClient
from clsbench.errors import PeerRefused
from dicamm import codes


def heard(path: str, seconds: float) -> bytes:
    """What comes out of a port that somebody has opened with a terminal program."""
    port = os.open(path, os.O_RDONLY | os.O_NOCTTY)
    found = b""
    try:
        while select.select([port], [], [], seconds)[0]:
            found += os.read(port, 4096)
    finally:
        os.close(port)
    return found


async def test_a_board_command_that_has_ended_leaves_a_quiet_console(tmp_path):
    async with lone_board(tmp_path, ChainOptions()) as (chain, link):
        await status_when(link, lambda status: status["meter"]["healthy"])
        await link.close()
        await asyncio.sleep(0.1)
        chain.plant.meter.set_faults(silent=True)
        # the device writes METER_LOST into its log, and tells nobody
        assert await asyncio.to_thread(heard, chain.board.path, 3) == b""
        again = await LinkClient.open(chain.board.path)
        try:
            await again.hello()
            await status_when(again, lambda status: not status["meter"]["healthy"])
            assert codes.METER_LOST in [code for _ms, code, _arguments in await again.logs()]
            told: list[int] = []
            again.on_log = lambda _ms, code, _arguments: told.append(code)
            chain.plant.meter.set_faults()
            await status_when(again, lambda status: status["meter"]["healthy"])
            assert told == [codes.METER_BACK]  # while somebody listens, the log comes unasked
        finally:
            await again.close()


async def test_the_host_gets_again_just_what_it_lacks(tmp_path):
    async with lone_board(tmp_path, ChainOptions()) as (_chain, link):
        await status_when(link, lambda status: status["meter"]["healthy"])
        for _ in range(3):
            uuid = uuidlib.uuid4().bytes
            for action in ("begin", "end"):
                assert (await link.command(action, uuid))[0] == 0
        records = dict(await link.records())
        mark, again = await link.acknowledge(2, [(3, 3), (5, 6)])
        assert mark == 2 and again == [(seq, records[seq]) for seq in (3, 5, 6)]
        assert (await link.status())["journal"]["unacknowledged"] == len(records) - 2
        with pytest.raises(PeerRefused):
            await link.acknowledge(max(records) + 1)
        with pytest.raises(PeerRefused):
            await link.acknowledge(2, [(1, -1)])


async def test_a_host_frees_nothing_that_a_gateway_is_to_fetch(tmp_path):
    async with running(tmp_path) as run:
        await run.transaction()
        await run.delivered()
        await run.chain.roles["smgw"].kill()
        uuid = uuidlib.uuid4().bytes
        for action in ("begin", "end"):
            assert (await run.observer.link.command(action, uuid))[0] == 0
        status = await run.observer.link.status()
        newest, owed = status["journal"]["newest"], status["journal"]["unacknowledged"]
        assert owed >= 2
        mark, _again = await run.observer.link.acknowledge(newest)
        assert mark == newest - owed
        status = await run.observer.link.status()
        assert status["journal"]["unacknowledged"] == owed
        await run.chain.start_role("smgw")
        await run.delivered()


async def test_a_gateway_that_lost_its_store_gets_all_again(tmp_path):
    async with running(tmp_path) as run:
        for _ in range(4):
            await run.transaction()
        await run.delivered()
        held = {record.seq: record.sealed for record in await run.observer.collect()}
        await run.chain.roles["smgw"].kill()
        for path in (run.chain.work / "smgw").glob("smgw.sqlite*"):
            path.unlink()
        await run.chain.start_role("smgw")
        uuid = await run.begin()
        await run.end(uuid)
        await run.delivered()
        await status_when(run.observer.link, lambda s: not s["journal"]["unacknowledged"])
        store = run.chain.work / "smgw" / "smgw.sqlite"
        for _ in range(400):
            stored = sqlite_records(store)
            if held.items() <= stored.items():
                break
            await asyncio.sleep(0.1)
        assert held.items() <= stored.items()


def sqlite_records(path) -> dict[int, bytes]:
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return dict(database.execute("SELECT seq, sealed FROM device_records").fetchall())
    finally:
        database.close()
