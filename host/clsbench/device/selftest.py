"""The self-test of a board that was flashed: over the bench link, as a list of named checks.

Switches nothing: a load may hang on the relay. What needs a meter or a gateway is told, and fails
the test only where the caller says that they are there.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clsbench.device.boards import KIB, BoardFacts
from clsbench.device.link import LinkClient
from clsbench.device.link_inbox import STATUS
from clsbench.errors import EnvironmentProblem, PeerRefused, PeerSilent
from dicamm import VERSION, code_texts

START_S = 60.0  # for the start of the firmware
HELLO_S = 1.5
CLOCK_BOUND_MS = 500
SYNCHRONISED = 1  # time_state of a record
_DOES_NOT_START = "DICAMM does not start"
_LOOK_S = 0.3


@dataclass(frozen=True)
class Check:
    """ok: None where it was told and not asked for."""

    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True)
class Expectation:
    """What the device must say of itself; texts are empty where anything will do."""

    facts: BoardFacts
    device_id: str = ""
    meter_id: str = ""
    gateway: bool = False
    meter_there: bool = False


async def run(port: str, expected: Expectation, start_s: float = START_S) -> list[Check]:
    """Waits for the device that has just been restarted, gives it the time where no gateway does,
    and asks it.

    Raises PeerRefused when it says that it does not start, PeerSilent when it does not answer
    within `start_s` (to anything), EnvironmentProblem when its port does not come back.
    """
    link, hello = await _up(port, start_s)
    try:
        if not expected.gateway:
            with contextlib.suppress(PeerSilent):  # a slow board; its state tells
                await link.set_time(time.time_ns() // 1_000_000, CLOCK_BOUND_MS)
        state = await _settled(link, expected, start_s)
    finally:
        await link.close()
    return list(_checks(hello, state, expected))


async def _up(port: str, start_s: float) -> tuple[LinkClient, dict[str, Any]]:
    """An open link and the device's hello; the port may be away for a while."""
    end = time.monotonic() + start_s
    said: list[str] = []
    while True:
        try:
            link = await LinkClient.open(port)
        except EnvironmentProblem:
            if time.monotonic() >= end:
                raise
            await asyncio.sleep(_LOOK_S)
            continue
        link.on_text = said.append
        try:
            return link, await _greeted(link, said, end)
        except (PeerSilent, PeerRefused) as error:
            await link.close()
            if isinstance(error, PeerRefused) or time.monotonic() >= end:
                raise


async def _greeted(link: LinkClient, said: list[str], end: float) -> dict[str, Any]:
    # one request that is repeated: a slow board's answer to the first time counts too
    tries = max(1, int((end - time.monotonic()) / HELLO_S))
    greeting = asyncio.create_task(link.hello(timeout_s=HELLO_S, tries=tries))
    try:
        while not greeting.done():
            await asyncio.wait({greeting}, timeout=_LOOK_S)
            if refusal := _refusal(said):
                raise PeerRefused(f"device on {link.port} {refusal}")
    finally:
        greeting.cancel()
    try:
        return await greeting
    except PeerSilent:
        words = "\n  ".join(line.rstrip() for line in said[-6:]) or "nothing"
        raise PeerSilent(
            f"device on {link.port} did not come up.\n  Its console said: {words}"
        ) from None


def _refusal(said: list[str]) -> str:
    """Why the console will not become a DICAMM's any more, or ""."""
    text = "\n".join(line.rstrip() for line in said)
    if _DOES_NOT_START in text:
        return f"does not start: {text.split(_DOES_NOT_START)[1].splitlines()[0].strip(' :')}"
    begin, prompt = text.find("Traceback"), text.rfind("\n>>>")
    if not 0 <= begin < prompt:
        return ""
    lines = text[begin:].split("\nMicroPython")[0].split("\n")
    return "fell at its start:\n  " + "\n  ".join([*lines[:1], *lines[1:][-5:]])


async def _settled(link: LinkClient, expected: Expectation, patience_s: float) -> dict[str, Any]:
    """The device's state; with a meter or gateway to be there, after they had time to answer."""
    for _ in range(20):
        state = await _state(link, patience_s)
        waits = expected.meter_there and not state["meter"]["healthy"]
        if not waits and (state["time"]["state"] or not expected.gateway):
            return state
        await asyncio.sleep(_LOOK_S)
    return await _state(link, patience_s)


async def _state(link: LinkClient, patience_s: float) -> dict[str, Any]:
    tries = max(1, int(patience_s / HELLO_S))
    return (await link.request({0: STATUS}, timeout_s=HELLO_S, tries=tries))[2]


def _checks(
    hello: dict[str, Any], state: dict[str, Any], expected: Expectation
) -> Iterator[Check]:
    facts = expected.facts
    firmware = f"{hello['version']} on {hello['board']}"
    yield Check("firmware", hello["version"] == VERSION and hello["board"] == facts.name, firmware)
    ids = f"device {hello['device_id']}, CLS {hello['cls_id']}, meter {hello['meter_id']}"
    wanted = (expected.device_id or hello["device_id"], expected.meter_id or hello["meter_id"])
    yield Check("identity", wanted == (hello["device_id"], hello["meter_id"]), ids)
    yield Check(
        "relay", not state["relay_closed"], "open" if not state["relay_closed"] else "closed"
    )
    journal = state["journal"]
    room = f"{journal['capacity']} places, {journal['newest']} records made so far"
    yield Check("journal", journal["capacity"] > 0 and not journal["lost"], room)
    yield _time(state["time"], expected.gateway)
    free = state["heap"]["free"]
    yield Check("heap", free >= facts.heap_free_kib * KIB, f"{free / KIB:.0f} KiB free")
    fallen = [name for name, times in state["restarts"].items() if times]
    yield Check(
        "tasks", not fallen, f"started again: {', '.join(fallen)}" if fallen else "all run"
    )
    yield _meter(state["meter"], expected.meter_there)
    if expected.gateway:
        gateway = state["gateway"]
        words = f"{gateway['requests']} requests, {gateway['failures']} failed"
        answered = gateway["requests"] > gateway["failures"]
        yield Check("gateway", True if answered else None, words)


def _time(state: dict[str, Any], gateway: bool) -> Check:
    if state["state"] == SYNCHRONISED:
        return Check("time", True, f"synchronised within {state['bound_ms']} ms")
    return Check("time", None if gateway else False, "not set yet")


def _meter(meter: dict[str, Any], must: bool) -> Check:
    if meter["healthy"]:
        return Check("meter", True, f"answers, {meter['good_reads']} readings")
    words = code_texts.describe(meter["error"]) if meter["error"] else "not read yet"
    return Check("meter", False if must else None, f"no answer: {words}")


def passed(checks: list[Check]) -> bool:
    """No check failed."""
    return all(check.ok is not False for check in checks)
