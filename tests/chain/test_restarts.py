"""Whatever part of the chain is killed in mid-transaction: no record lost, none made twice.

The kills are real: the board's interpreter and the roles end by SIGKILL, between two
instructions, and come back on the state they left on flash and disk.
"""

import asyncio
import contextlib
import random
import uuid as uuidlib
from collections import Counter

import pytest
from chains import until

from clsbench.bench.plant import PIN_RELAY
from clsbench.device.records import ENDS
from clsbench.errors import ClsbenchError
from clsbench.net.listener import TlsListener
from clsbench.net.reverse import http_client_protocol
from clsbench.net.tls import wan_client, wan_server
from clsbench.smgw.core.profiles import EmtProfile, Endpoint
from clsbench.smgw.wan import channels

pytestmark = pytest.mark.asyncio(loop_scope="module")

KILLS = 10
SEED = 7


async def power_cut(run) -> None:
    """Cuts the board's supply for an instant; returns when the device is ready again."""
    await run.observer.stop()
    boots = run.chain.board.boots
    run.chain.board.power_cut()
    assert not run.relay_closed
    await asyncio.to_thread(run.chain.board.wait_for_boot, boots + 1)
    await run.observer.start()


async def test_a_power_cut_in_a_transaction_ends_it_as_power_fail(run):
    uuid = await run.begin()
    await power_cut(run)
    assert not run.relay_closed
    await run.ready()
    await run.witnessed(uuid, "power-fail")
    await run.fault("device.power_fail_found", "")
    assert await run.ends_of(uuid) == ["power-fail"]
    await run.transaction()
    await run.delivered()
    await run.gateway_gapless()


async def test_an_end_after_a_power_cut_is_answered_with_the_record_that_ended_it(run):
    uuid = await run.begin()
    await power_cut(run)
    await run.witnessed(uuid, "power-fail")
    await run.end(uuid)
    assert await run.ends_of(uuid) == ["power-fail"]
    assert not run.relay_closed


def cut_when_the_relay_closes(board, monkeypatch) -> None:
    """Cuts the board's supply at the next edge of the relay, once, in the board's own thread."""
    observe = board._on_pin

    def cutting(pin: int, level: int, mono_ns: int) -> None:
        observe(pin, level, mono_ns)
        if pin == PIN_RELAY and level:
            board._on_pin = observe
            board.power_cut()

    monkeypatch.setattr(board, "_on_pin", cutting)


async def test_a_begin_cut_off_by_a_power_cut_is_carried_out_once_after_it(run, monkeypatch):
    uuid, board = str(uuidlib.uuid4()), run.chain.board
    run.chain.plant.meter.set_faults(slow_ms=250)  # its reading is not there at the cut
    await run.ready()
    await run.observer.stop()
    boots = board.boots
    cut_when_the_relay_closes(board, monkeypatch)
    asking = asyncio.create_task(
        run.chain.operator.switch(run.chain.names.cls, "begin", uuid=uuid, text="cut")
    )
    await until(lambda: board.boots > boots, what="the power cut")
    run.chain.plant.meter.set_faults()
    await asyncio.to_thread(board.wait_for_boot, boots + 1)
    await run.observer.start()
    answer = await asking
    # the gateway offers it again: the begin is carried out once, by the restarted device
    assert answer["code"] == 0 and run.relay_closed
    await run.end(uuid)
    await run.witnessed(uuid)


@pytest.mark.parametrize("role", ["smgw", "gwa", "emt"])
async def test_a_role_killed_in_a_transaction_loses_nothing(run, role):
    chain = run.chain
    uuid = await run.begin()
    await chain.roles[role].kill()
    assert run.relay_closed  # a gateway's absence is no fault of the plant
    await chain.start_role(role)
    await run.end(uuid)
    await run.witnessed(uuid)
    await run.transaction()
    await run.delivered()
    await run.gateway_gapless()


async def test_an_end_commanded_while_the_smgw_is_away_is_carried_out_when_it_is_back(run):
    chain = run.chain
    uuid = await run.begin()
    await chain.roles["smgw"].kill()
    asking = asyncio.create_task(run.end(uuid))
    await until(lambda: run.told("switch.retry"), what="a retry by the aEMT")
    assert not asking.done() and run.relay_closed
    await chain.start_role("smgw")
    await asking
    await run.witnessed(uuid)
    await run.delivered()


async def test_a_command_comes_through_soon_after_all_roles_were_killed(run):
    chain = run.chain
    uuid = await run.begin()
    for role in ("emt", "gwa", "smgw"):
        await chain.roles[role].kill()
    for role in ("gwa", "emt", "smgw"):
        await chain.start_role(role)
    async with asyncio.timeout(25):  # the aEMT would go on trying for longer
        await run.end(uuid)
    await run.witnessed(uuid)
    await run.delivered()
    await run.gateway_gapless()


class Quiet:
    """A journal that keeps nothing."""

    def event(self, *_, **__):
        """Dropped."""

    system = refused = event


async def test_a_connect_ends_the_pause_before_the_next_try(run, monkeypatch):
    chain, pki = run.chain, run.chain.pki
    monkeypatch.setattr(channels, "RETRY_MIN_S", 60.0)  # as after hours of a participant's absence
    server = wan_server(pki.emt(chain.names.emt).tls, pki.wan_trust)
    arrived: list = []

    def listener() -> TlsListener:
        return TlsListener(
            server, lambda _p: http_client_protocol(arrived.append), lambda *_: None
        )

    first = listener()
    port = await first.start("127.0.0.1", 0)
    endpoint = Endpoint("127.0.0.1", port)
    emt = EmtProfile(chain.names.emt, endpoint, endpoint, (chain.names.cls,))
    client = wan_client(pki.smgw.tls, pki.wan_trust)
    kept = channels.EmtChannels(client, None, Quiet(), 60)
    try:
        await kept.connect(emt, 20)
        arrived[0].close()
        await first.close()
        await until(lambda: kept.states()[emt.name] == "closed")
        second = listener()
        await second.start("127.0.0.1", port)
        await kept.connect(emt, 20)
        assert kept.states() == {emt.name: "open"}
    finally:
        await kept.close()
        await second.close()


async def switch_on_and_off(run, uuids: list[str], stop: asyncio.Event) -> None:
    """Begin/end traffic without a pause; what a cut leaves open is ended before the next begin."""
    chain = run.chain
    while not stop.is_set():
        uuid = str(uuidlib.uuid4())
        uuids.append(uuid)
        for action in ("begin", "end"):
            with contextlib.suppress(ClsbenchError):
                await chain.operator.switch(chain.names.cls, action, uuid=uuid, text="kills")


async def test_ten_kills_of_the_firmware_at_random_instants_lose_and_double_nothing(run):
    board, chance = run.chain.board, random.Random(SEED)
    uuids: list[str] = []
    stop = asyncio.Event()
    await run.observer.stop()
    traffic = asyncio.create_task(switch_on_and_off(run, uuids, stop))
    for number in range(KILLS):
        await asyncio.sleep(chance.uniform(0.05, 0.9))
        if number % 2:  # however slow the machine is, half of them find a transaction begun
            await until(lambda: run.relay_closed, what="a begin")
        boots = board.boots
        board.power_cut()
        await asyncio.to_thread(board.wait_for_boot, boots + 1)
    await asyncio.sleep(0.5)
    stop.set()
    await traffic
    await run.observer.start()
    status = await run.ready()
    await until_closed(run)
    assert status["journal"]["dropped"] == 0
    await run.delivered()
    await run.gateway_gapless()
    counted = Counter()
    for record in await run.observer.collect():
        if record.uuid in uuids:
            counted[record.uuid, "end" if record.event in ENDS else record.event] += 1
    begun = {uuid for uuid, event in counted if event == "begin"}
    cut = [r for r in await run.observer.collect() if r.event == "power-fail" and r.uuid in uuids]
    assert cut, "no kill hit an open transaction"
    assert len(begun) >= KILLS // 2
    assert counted == {(uuid, event): 1 for uuid in begun for event in ("begin", "end")}
    gateway = Counter(
        (record["uuid"], record["content"]["event"])
        for record in await run.chain.operator.records()
        if record["uuid"] in begun
    )
    assert set(gateway.values()) == {1} and len(gateway) == 2 * len(begun)


async def until_closed(run) -> None:
    """Waits until the device has no open transaction and the gateway knows all events."""
    for _ in range(400):
        status = await run.observer.link.status()
        if status["open_uuid"] is None and not status["journal"]["unacknowledged"]:
            break
        await asyncio.sleep(0.1)
    assert status["open_uuid"] is None and not run.relay_closed
