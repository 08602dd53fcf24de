"""A flood of wake-up messages: told when it begins and when it is over, each time."""

import asyncio

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


async def test_each_flood_is_told_with_its_number_and_the_port_goes_on():
    told = Told()
    section = WakeUpSection(port=0)
    port = WakeUpPort(section, "ETST0010000001", None, None, None, told, None, lambda: None)  # pyright: ignore
    running = asyncio.create_task(port.run())
    for _ in range(2):
        for _ in range(wakeup.MAX_WAITING + 5):
            port.offer(b"WU", "here")
        async with asyncio.timeout(10):
            await told.over.wait()
        told.over.clear()
    running.cancel()
    floods = [detail["text"] for detail in told.events if detail["reason"] == "flood"]
    assert floods == ["more than 64 messages wait", "over: 5 messages were dropped"] * 2
    assert [e["reason"] for e in told.events].count("length") == 2 * wakeup.MAX_WAITING
    assert len(told.log) == len(told.events)
