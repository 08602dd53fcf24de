"""What an aEMT asks of a gateway, as it is stored and as it travels: commands, external events.

Knows fields, limits and answers; nothing of channels, and nothing of when something is sent.
"""

import uuid as uuidlib
from dataclasses import dataclass
from typing import Any

from clsbench.emt.config import ClsEntry
from clsbench.errors import BadInput, PeerSilent
from clsbench.net.reverse import HttpAnswer

LIMIT = "limit"
ACTIONS = ("begin", "end", "change", LIMIT)
EVENT = "event/"  # before the event's name: an external event, by which nothing is switched
EVENTS = ("begin", "end", "change")
MAX_TEXT_BYTES = 64
MAX_LIMIT_W = 1_000_000
MAX_DURATION_S = 7 * 86_400


@dataclass(frozen=True)
class Outcome:
    """The answer. code: 0 done, else dicamm/codes.py; latency_ms: in real time.

    captured_ms: of an external event, when its reading was taken.
    """

    code: int
    seq: int | None
    text: str
    uuid: str
    latency_ms: float
    captured_ms: int | None = None

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> "Outcome":
        """From a stored command with an answer."""
        latency_ms = (row["t_answer_ns"] - row["t_command_ns"]) / 1e6
        return cls(
            row["code"],
            row["seq"],
            row["answer"],
            row["uuid"],
            round(latency_ms, 3),
            row.get("captured_ms"),
        )


def content(
    cls: ClsEntry,
    action: str,
    text: str,
    taf_profile: str | None,
    limit_w: int | None,
    duration_s: int | None,
) -> dict[str, Any]:
    """What must be the same when a command is given again. Raises BadInput."""
    known = (*ACTIONS, *(EVENT + name for name in EVENTS))
    if action not in known:
        raise BadInput(f"action {action!r}: must be one of {', '.join(known)}")
    if len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        raise BadInput(f"text is longer than {MAX_TEXT_BYTES} bytes of UTF-8")
    if action == LIMIT:
        _check_range("limit_w", limit_w, 0, MAX_LIMIT_W)
        _check_range("duration_s", duration_s, 1, MAX_DURATION_S)
    elif limit_w is not None or duration_s is not None:
        raise BadInput(f"action {action!r}: limit_w and duration_s belong to {LIMIT} only")
    return {
        "cls_id": cls.cls_id,
        "smgw_id": cls.smgw_id,
        "taf_profile": taf_profile or cls.taf_profile,
        "text": text,
        "limit_w": limit_w,
        "duration_s": duration_s,
    }


def canonical_uuid(uuid: str | None) -> str:
    """The UUID in its usual form; None: a new one. Raises BadInput."""
    if uuid is None:
        return str(uuidlib.uuid4())
    try:
        return str(uuidlib.UUID(uuid))
    except ValueError as error:
        raise BadInput(f"uuid {uuid!r}: must be like {uuidlib.UUID(int=0)}") from error


def request_of(row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Path and body of a stored command for its gateway."""
    if row["action"].startswith(EVENT):
        names = ("uuid", "cls_id", "text", "event_ms", "taf_profile")
        event = row["action"].removeprefix(EVENT)
        return "/smgw/emt/v1/fas/event", {name: row[name] for name in names} | {"event": event}
    names = ("id", "action", "uuid", "text", "event_ms", "taf_profile")
    body = {name: row[name] for name in names}
    if row["action"] == LIMIT:
        body |= {name: row[name] for name in ("limit_w", "duration_s")}
    return f"/smgw/emt/v1/cls/{row['cls_id']}/command", body


def answer_fields(row: dict[str, Any], answer: HttpAnswer) -> dict[str, Any]:
    """Columns that a 200 fills; raises PeerSilent where it is no such answer."""
    event = row["action"].startswith(EVENT)
    kinds: dict[str, tuple[type, ...]] = (
        {"seq": (int,), "captured_ms": (int, type(None))}
        if event
        else {"code": (int,), "seq": (int, type(None)), "text": (str,)}
    )
    try:
        found = answer.json()
        fields = {name: found[name] for name in kinds}
    except (BadInput, KeyError, TypeError) as error:
        names = ", ".join(kinds)
        raise PeerSilent(f"SMGW's answer has no {names}: {answer.body[:100]!r}") from error
    if any(type(fields[name]) not in kinds[name] for name in kinds):
        names = ", ".join(kinds)
        raise PeerSilent(f"SMGW's answer has a wrong {names}: {answer.body[:100]!r}")
    if event:
        return fields | {"code": 0, "answer": ""}
    return {"code": fields["code"], "seq": fields["seq"], "answer": fields["text"]}


def _check_range(name: str, value: int | None, least: int, most: int) -> None:
    if value is None or not least <= value <= most:
        raise BadInput(f"{name} {value}: must be {least} to {most}")
