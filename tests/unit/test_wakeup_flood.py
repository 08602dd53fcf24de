"""A flood of wake-up messages: told when it begins and when it is over, each time."""

import asyncio
import contextlib

from proxy_kit import until

from clsbench.smgw.config_wan import WakeUpSection
from clsbench.smgw.wan import wakeup
from clsbench.smgw.wan.wakeup import WakeUpPort


class Told:
    def __init__(self):
        self.events, self.log = [], []
        self.over = asyncio.Event()

    def event(self, *_where, detail, **_more):
        self.events.append(detail)
        if detail.get("text", "").startswith("over"):
            self.over.set()

    def system(self, event, subject, message, *_more):
        self.log.append(message)


def wakeup_port(section: WakeUpSection, told: Told) -> WakeUpPort:
    return WakeUpPort(section, "ETST0010000001", None, None, None, told, None, lambda: None)  # pyright: ignore


async def test_a_sender_that_is_not_done_is_cut_off_when_the_port_closes(monkeypatch):
    monkeypatch.setattr(wakeup, "MESSAGE_WITHIN_S", 1000.0)
    port = wakeup_port(WakeUpSection(port=0, transport="tcp"), Told())
    reader, writer = await asyncio.open_connection("127.0.0.1", await port.start())
    writer.write(b"WU")
    await until(lambda: port._senders)
    async with asyncio.timeout(30):
        await port.close()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()


async def test_each_flood_is_told_with_its_number_and_the_port_goes_on():
    told = Told()
    port = wakeup_port(WakeUpSection(port=0), told)
    running = asyncio.create_task(port.run())
    for _ in range(2):
        for _ in range(wakeup.MAX_WAITING + 5):
            port.offer(b"WU", "here")
        async with asyncio.timeout(30):
            await told.over.wait()
        told.over.clear()
    running.cancel()
    floods = [detail["text"] for detail in told.events if detail["reason"] == "flood"]
    assert floods == ["more than 64 messages wait", "over: 5 messages were dropped"] * 2
    assert [e["reason"] for e in told.events].count("length") == 2 * wakeup.MAX_WAITING
    assert len(told.log) == len(told.events)
