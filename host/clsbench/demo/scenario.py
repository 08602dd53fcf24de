"""What happens in the demo: two hours of bench time with transactions across quarter hours."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from clsbench.bench.chain import Chain
from clsbench.bench.observer import DeviceObserver
from clsbench.demo.evidence import QUARTER_MS
from clsbench.errors import PeerRefused

MINUTE_MS = 60_000


@dataclass(frozen=True)
class PlannedTransaction:
    """Minutes after the first whole quarter hour of the demo."""

    name: str
    begin_min: int
    end_min: int


PLAN = (
    PlannedTransaction("wind surplus", 5, 26),
    PlannedTransaction("negative price", 37, 52),
    PlannedTransaction("grid support", 66, 97),
)
LAST_MIN = 108


@dataclass
class Commanded:
    """A transaction as the aEMT saw it: bench times of command and answer, real latency."""

    uuid: str
    name: str
    begin_ms: int = 0
    begun_ms: int = 0
    end_ms: int = 0
    ended_ms: int = 0
    begin_seq: int | None = None
    end_seq: int | None = None
    latencies_ms: list[float] = field(default_factory=list)


@dataclass
class Outcome:
    """What the scenario leaves for the checks."""

    commanded: list[Commanded]
    refusal: str
    status: dict[str, Any]
    started_ms: int
    ended_ms: int


async def run_scenario(chain: Chain, observer: DeviceObserver) -> Outcome:
    """Runs PLAN on a started chain; returns when the last quarter hour is recorded."""
    clock = chain.clock
    started_ms = clock.now_ms()
    first_ms = started_ms - started_ms % QUARTER_MS + QUARTER_MS
    refusal = await _foreign_command(chain)
    commanded = []
    for planned in PLAN:
        await clock.sleep_until_ms(first_ms + planned.begin_min * MINUTE_MS)
        one = Commanded(str(uuid.uuid4()), planned.name)
        commanded.append(one)
        await _begin(chain, one)
        await clock.sleep_until_ms(first_ms + planned.end_min * MINUTE_MS)
        await _end(chain, one)
    await clock.sleep_until_ms(first_ms + LAST_MIN * MINUTE_MS)
    await observer.collect()
    status = await observer.link.status()
    return Outcome(commanded, refusal, status, started_ms, clock.now_ms())


async def _begin(chain: Chain, one: Commanded) -> None:
    one.begin_ms = chain.clock.now_ms()
    answer = await switch(chain, "begin", one)
    one.begun_ms, one.begin_seq = chain.clock.now_ms(), answer["seq"]


async def _end(chain: Chain, one: Commanded) -> None:
    one.end_ms = chain.clock.now_ms()
    answer = await switch(chain, "end", one)
    one.ended_ms, one.end_seq = chain.clock.now_ms(), answer["seq"]


async def switch(chain: Chain, action: str, one: Commanded) -> dict[str, Any]:
    """One command through aEMT, SMGW and HAN. Raises PeerRefused when the device says no."""
    answer = await chain.operator.switch(
        chain.names.cls, action, uuid=one.uuid, text=one.name, event_ms=chain.clock.now_ms()
    )
    if answer["code"]:
        raise PeerRefused(
            f"DICAMM refused to {action} '{one.name}': code {answer['code']} {answer['text']}"
        )
    one.latencies_ms.append(answer["latency_ms"])
    return answer


async def _foreign_command(chain: Chain) -> str:
    """A command for a CLS-ID outside the aEMT's profile; returns the refusal's reason."""
    try:
        answer = await chain.operator.switch(chain.names.foreign_cls, "begin", text="not mine")
    except PeerRefused as refusal:
        return str(refusal)
    return f"NOT REFUSED: {answer}"
