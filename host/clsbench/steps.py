"""The seven steps of a switching, as they stand in the event log.

Whoever does a step writes it, with the UUID of the transaction, as an event `switch.step`. Steps
done for a channel that no transaction asked for have no UUID; they count for every transaction
that finds the channel standing.
Source: FlexMC final report (course of a switching through GWA, SMGW and CLS).
"""

from collections.abc import Iterable, Iterator
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
BY_CHANNEL = "channel"  # `via` of step 2: the command goes to the box over its CLS channel
EARLIER = "earlier"  # key of a step that was done for the channel, before the command

Event = dict[str, Any]


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
    """Writes one step. uuid None: of a channel that is opened for no transaction in particular;
    the detail says between whom."""
    told = {"step": number, "what": STEPS[number], **detail}
    events.event(lane_from, lane_to, "state", NAME, uuid=uuid, ok=ok, detail=told)


def steps_of(events: Iterable[Event]) -> dict[str, list[Event]]:
    """The steps by transaction, in order of time: UUID -> events.

    Where a command found its channel standing, the steps that had opened it come with it, marked
    `EARLIER`.
    """
    told = sorted((e for e in events if e["name"] == NAME), key=lambda step: step["t_ns"])
    found: dict[str, list[Event]] = {}
    for step in told:
        if step["uuid"] is not None:
            found.setdefault(step["uuid"], []).append(step)
    return {uuid: list(_with_earlier(steps, told)) for uuid, steps in found.items()}


def _with_earlier(own: list[Event], told: list[Event]) -> Iterator[Event]:
    """A transaction's steps; after each step 2 those that its channel was opened by, where the
    transaction did not do them itself."""
    for at, step in enumerate(own):
        yield step
        if step["detail"]["step"] == CHANNEL:
            done = {each["detail"]["step"] for each in _of_this_try(own[at + 1 :])}
            until = _end_of(own[at:])
            before = [each for each in told if each["t_ns"] <= until and _same(each, step)]
            for earlier in _opening(step, before):
                if earlier["detail"]["step"] not in done:
                    yield earlier | {EARLIER: True}


def _of_this_try(steps: list[Event]) -> list[Event]:
    """Up to the next try, or the next command of the transaction."""
    for at, step in enumerate(steps):
        if step["detail"]["step"] in (RAISED, CHANNEL):
            return steps[:at]
    return steps


def _end_of(steps: list[Event]) -> int:
    """When the command was done: box or gateway may have opened the channel while it waited."""
    last = _of_this_try(steps[1:])[-1:]
    done = last and last[0]["ok"] and last[0]["detail"]["step"] == SWITCHED
    return (last if done else steps)[0]["t_ns"]


def _opening(checked: Event, before: list[Event]) -> list[Event]:
    """The newest of each step by which a channel of this kind is opened. Rights of a command that
    the gateway passes on are checked with it, and it is the gateway that asks the box."""
    good = [step for step in before if step["ok"]]
    joined = next((s["detail"] for s in reversed(good) if s["detail"]["step"] == PROXY), {})
    if checked["detail"].get("via") != BY_CHANNEL:
        numbers = (REQUESTED, TLS)
    elif joined.get("opened_by") == "emt":
        numbers = (REQUESTED, RIGHTS, TLS, PROXY)
    else:
        numbers = (RIGHTS, TLS, PROXY)  # box or gateway opened it, without being asked
    newest = {  # TLS to either side
        (step["detail"]["step"], step["lane_to"]): step
        for step in good
        if step["detail"]["step"] in numbers
        and step["detail"].get("channel", joined.get("channel")) == joined.get("channel")
    }
    return sorted(newest.values(), key=lambda step: (step["detail"]["step"], step["t_ns"]))


def _same(step: Event, checked: Event) -> bool:
    """Whether a step is of the channel that was checked: between box or gateway, and who?"""
    way, other = step["detail"], checked["detail"]
    far = "cls_id" if other.get("via") == BY_CHANNEL else "smgw_id"
    keys = ("via", "emt_id", far)
    return all(way.get(key) == other.get(key) for key in keys)
