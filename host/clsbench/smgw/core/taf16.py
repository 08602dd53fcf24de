"""TAF16: a reading at an event announced by a control box or over the WAN.

The reading for an event is the first whole telegram whose first byte came at or after the
announcement. One UUID and event give one record, however often announced; the same pair
with other content is a conflict. Records of one profile are numbered in the order of their
announcements, which is that of their capture times: of two events the one announced first has
the earlier telegram of any meter, or the same. Knows announcements, readings and instants only.
Source: FlexMC final report, section on TAF16 (UUID after RFC 4122, now RFC 9562; CLS-ID;
free text; Unix time of the event).
"""

import json
from dataclasses import dataclass, field
from typing import Any

from clsbench.smgw.core.fields import FieldError, object_body, text_field, uint_field, uuid_field
from clsbench.smgw.core.profiles import TafProfile
from clsbench.smgw.core.readings import OriginalReading

EVENTS = (
    "begin",
    "end",
    "change",
    "refused",
    "failsafe",
    "tamper",
    "power-fail",
    "boot",
    "meter-fault",
    "update",
)
MAX_TEXT_BYTES = 64

HAN = "han"
WAN = "wan"

Key = tuple[str, str]


class Conflict(Exception):
    """The same UUID and event came before with other content; the text names the pair."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event as its source told it. event_ms: the source's time, UTC. source: HAN or WAN."""

    uuid: str
    cls_id: str
    event: str
    text: str
    event_ms: int
    device_seq: int | None
    source: str

    @property
    def key(self) -> Key:
        """What makes it the same event when it is told again."""
        return (self.uuid, self.event)

    def fingerprint(self) -> str:
        """Canonical text of the whole content; equal for a true repeat only."""
        fields = [self.uuid, self.cls_id, self.event, self.text, self.event_ms, self.device_seq]
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def read_announcement(body: Any, source: str) -> Announcement:
    """The announcement in a parsed JSON body. Raises FieldError naming the field."""
    body = object_body(body)
    event = text_field(body, "event", 32)
    if event not in EVENTS:
        raise FieldError(f"event '{event}': expected one of {', '.join(EVENTS)}")
    device_seq = body.get("device_seq")
    return Announcement(
        uuid=uuid_field(body, "uuid"),
        cls_id=text_field(body, "cls_id", 14),
        event=event,
        text=text_field(body, "text", MAX_TEXT_BYTES),
        event_ms=uint_field(body, "event_ms"),
        device_seq=None if device_seq is None else uint_field(body, "device_seq"),
        source=source,
    )


@dataclass(slots=True)
class Pending:
    """An announced event waiting for its readings, one per meter its profiles name.

    released: its turn to be recorded has come.
    """

    announcement: Announcement
    announced_ms: int
    tafs: tuple[TafProfile, ...]
    readings: dict[str, OriginalReading] = field(default_factory=dict)
    released: bool = False

    @property
    def complete(self) -> bool:
        """True when every profile's meter has given its reading."""
        return all(taf.meter_id in self.readings for taf in self.tafs)


class Events:
    """The events under way. What is recorded already is the store's to know."""

    def __init__(self) -> None:
        self._pending: dict[Key, Pending] = {}

    def announce(
        self, announcement: Announcement, tafs: tuple[TafProfile, ...], now_ms: int
    ) -> tuple[Pending, bool]:
        """The event's Pending, and whether it is new. Raises Conflict."""
        known = self._pending.get(announcement.key)
        if known is None:
            known = Pending(announcement, now_ms, tafs)
            self._pending[announcement.key] = known
            return known, True
        check_repeat(known.announcement.fingerprint(), announcement)
        return known, False

    def take(self, meter_id: str, reading: OriginalReading) -> list[Pending]:
        """Gives a reading of the profile's meter to whoever waits; returns what it released.

        meter_id: as the profiles name it. What is returned is to be recorded now, in this order:
        before the next call, or numbers would not follow capture times. A completed event stays
        under way until `finish`, and takes no further reading.
        """
        for pending in self._pending.values():
            wanted = any(taf.meter_id == meter_id for taf in pending.tafs)
            if pending.complete or not wanted or reading.captured_ms < pending.announced_ms:
                continue
            pending.readings.setdefault(meter_id, reading)
        return self._release()

    def finish(self, pending: Pending) -> list[Pending]:
        """Recorded, or the meter was silent: the event is no longer under way.

        Returns those that waited behind it; to be recorded as `take` says.
        """
        del self._pending[pending.announcement.key]
        return self._release()

    def _release(self) -> list[Pending]:
        """Complete events that no earlier one of the same profile keeps waiting, in order."""
        kept_back: set[str] = set()
        released: list[Pending] = []
        for pending in self._pending.values():
            if pending.released:
                continue
            profiles = {taf.profile_id for taf in pending.tafs}
            if pending.complete and not profiles & kept_back:
                pending.released = True
                released.append(pending)
            else:
                kept_back |= profiles
        return released


def check_repeat(fingerprint: str, announcement: Announcement) -> None:
    """Raises Conflict unless `fingerprint` is that of this very announcement."""
    if fingerprint != announcement.fingerprint():
        uuid, event = announcement.key
        raise Conflict(f"event {event} of {uuid} is known with other content")
