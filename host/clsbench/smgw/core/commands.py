"""Commands of a market participant to a control box, and the box's answers.

Knows their fields, nothing of how they travel.
Source: FlexMC final report (switching command forwarded by the SMGW to a CLS).
"""

from dataclasses import dataclass
from typing import Any

from clsbench.smgw.core.fields import FieldError, object_body, text_field, uint_field, uuid_field
from clsbench.smgw.core.taf16 import MAX_TEXT_BYTES

LIMIT = "limit"
ACTIONS = ("begin", "end", "change", LIMIT)


@dataclass(frozen=True, slots=True)
class Command:
    """What the market participant wants done. event_ms: its time of the event, UTC.

    limit_w, duration_s: of a limit, which ends by itself; None otherwise.
    """

    id: str
    cls_id: str
    emt: str
    action: str
    uuid: str
    text: str
    event_ms: int
    taf_profile: str
    limit_w: int | None = None
    duration_s: int | None = None

    def for_cls(self) -> dict[str, Any]:
        """The form in which the control box is given it."""
        form = {
            "id": self.id,
            "action": self.action,
            "uuid": self.uuid,
            "text": self.text,
            "event_ms": self.event_ms,
        }
        if self.action == LIMIT:
            form |= {"limit_w": self.limit_w, "duration_s": self.duration_s}
        return form


@dataclass(frozen=True, slots=True)
class Answer:
    """What the control box said. code: 0 done, else its reason; seq: of its own record."""

    code: int
    seq: int | None
    text: str

    def as_json(self) -> dict[str, Any]:
        """The form in which it travels."""
        return {"code": self.code, "seq": self.seq, "text": self.text}


def read_command(body: Any, cls_id: str, emt: str) -> Command:
    """The command in a parsed JSON body. Raises FieldError naming the field."""
    body = object_body(body)
    action = text_field(body, "action", 16)
    if action not in ACTIONS:
        raise FieldError(f"action '{action}': expected one of {', '.join(ACTIONS)}")
    return Command(
        id=uuid_field(body, "id"),
        cls_id=cls_id,
        emt=emt,
        action=action,
        uuid=uuid_field(body, "uuid"),
        text=text_field(body, "text", MAX_TEXT_BYTES),
        event_ms=uint_field(body, "event_ms"),
        taf_profile=text_field(body, "taf_profile", 64),
        limit_w=uint_field(body, "limit_w") if action == LIMIT else None,
        duration_s=uint_field(body, "duration_s") if action == LIMIT else None,
    )


def read_answer(body: Any) -> Answer:
    """The answer in a parsed JSON body. Raises FieldError naming the field."""
    body = object_body(body)
    seq = None if body.get("seq") is None else uint_field(body, "seq")
    return Answer(uint_field(body, "code"), seq, text_field(body, "text", 200))
