"""The seven steps of a switching, as they stand in the event log.

Whoever does a step writes it, with the UUID of the transaction, as an event `switch.step`.
Source: FlexMC final report (course of a switching through GWA, SMGW and CLS).
"""

from collections.abc import Iterable
from typing import Any

from clsbench.eventlog import EventLog

NAME = "switch.step"
RAISED, CHANNEL, REQUESTED, RIGHTS, TLS, PROXY, SWITCHED = range(1, 8)
STEPS = {
    RAISED: "command raised",
    CHANNEL: "channel checked",
    REQUESTED: "channel requested from the GWA",
    RIGHTS: "rights checked",
    TLS: "TLS initiated",
    PROXY: "proxy provided",
    SWITCHED: "switched and measured",
}


def tell_step(
    events: EventLog,
    number: int,
    lane_from: str,
    lane_to: str,
    uuid: str | None,
    *,
    ok: bool = True,
    **detail: Any,
) -> None:
    """Writes one step; nothing where no UUID says to which switching it belongs."""
    if uuid is None:
        return
    told = {"step": number, "what": STEPS[number], **detail}
    events.event(lane_from, lane_to, "state", NAME, uuid=uuid, ok=ok, detail=told)


def steps_of(events: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The steps by transaction and action, in order of time: UUID and action -> events."""
    found: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if event["name"] == NAME and event["uuid"] is not None:
            found.setdefault(event["uuid"], []).append(event)
    return {uuid: sorted(steps, key=lambda step: step["t_ns"]) for uuid, steps in found.items()}
