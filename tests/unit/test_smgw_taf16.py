"""Events of TAF16 and the records made of readings: announced once, exact, flagged."""

import json

import pytest
from smgw_core_kit import CLS, METER, QUARTER, TAF7, TAF16, UUID, reading_at

from clsbench.smgw.core import status
from clsbench.smgw.core.clock_state import TimeState
from clsbench.smgw.core.fields import FieldError
from clsbench.smgw.core.grid import Slot
from clsbench.smgw.core.records import content_bytes, due_record, taf16_record
from clsbench.smgw.core.taf16 import Announcement, Conflict, Events, read_announcement

BODY = {
    "uuid": UUID,
    "cls_id": CLS,
    "event": "begin",
    "text": "Ladevorgang",
    "event_ms": 1_780_000_000_000,
    "device_seq": 4,
}


def announcement(**changed) -> Announcement:
    return read_announcement(BODY | changed, "han")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"uuid": "no"}, "uuid"),
        ({"uuid": "{" + UUID[:-2] + "}"}, "uuid"),
        ({"event": "explode"}, "event"),
        ({"text": "ä" * 33}, "text"),
        ({"text": "\ud800"}, "text"),
        ({"text": None}, "text"),
        ({"event_ms": "1"}, "event_ms"),
        ({"event_ms": True}, "event_ms"),
        ({"event_ms": -1}, "event_ms"),
        ({"event_ms": 2**60}, "event_ms"),
        ({"device_seq": 1.5}, "device_seq"),
        ({"cls_id": 5}, "cls_id"),
    ],
)
def test_a_wrong_field_is_named(changed, field):
    with pytest.raises(FieldError, match=field):
        announcement(**changed)


def test_the_first_telegram_begun_at_or_after_the_announcement_is_taken():
    events = Events()
    pending, new = events.announce(announcement(), (TAF16,), 1000)
    assert new
    assert events.take(METER, reading_at(999)) == []
    assert events.take("another meter", reading_at(1500)) == []
    assert events.take(METER, reading_at(1000)) == [pending]
    assert events.take(METER, reading_at(2000)) == []
    assert pending.readings[METER].captured_ms == 1000


def test_an_event_told_again_while_under_way_is_the_same_event():
    events = Events()
    first, _ = events.announce(announcement(), (TAF16,), 1000)
    again, new = events.announce(announcement(), (TAF16,), 5000)
    assert again is first and not new and first.announced_ms == 1000


@pytest.mark.parametrize("changed", [{"text": "x"}, {"event_ms": 1}, {"device_seq": 5}])
def test_an_event_told_again_with_other_content_is_a_conflict(changed):
    events = Events()
    events.announce(announcement(), (TAF16,), 1000)
    with pytest.raises(Conflict, match=UUID):
        events.announce(announcement(**changed), (TAF16,), 1000)


def test_begin_and_end_of_one_uuid_are_two_events():
    events = Events()
    events.announce(announcement(), (TAF16,), 1000)
    _, new = events.announce(announcement(event="end"), (TAF16,), 1000)
    assert new


def test_after_silence_an_event_is_announced_anew():
    events = Events()
    pending, _ = events.announce(announcement(), (TAF16,), 1000)
    events.finish(pending)
    again, new = events.announce(announcement(), (TAF16,), 9000)
    assert new and again.announced_ms == 9000


def test_a_taf16_record_is_sorted_compact_json_with_every_field():
    record = taf16_record(
        "ETST0010000001", TAF16, 7, announcement(text="ä"), reading_at(1001, 5), TimeState()
    )
    text = content_bytes(record).decode()
    assert text == (
        '{"captured_ms":1001,"cls_id":"ETST0020000017","event":"begin",'
        '"event_ms":1780000000000,"meter_id":"1EMH0098765432","profile_id":"taf16","seq":7,'
        '"smgw_id":"ETST0010000001","source":"han","status":"A000000020000000","text":"ä",'
        '"time_state":"synchronised","type":"taf16",'
        f'"uuid":"{UUID}",'
        '"values":[{"obis":"1-0:1.8.0*255","raw":5,"scaler":-1,"unit":30}]}'
    )


def test_a_gap_is_a_record_without_value_that_says_so():
    record = due_record("ETST0010000001", TAF7, 1, Slot(QUARTER, None), TimeState())
    assert record["values"] == [] and record["captured_ms"] is None
    word = status.from_hex(record["status"])
    assert status.has(word, status.NO_VALUE) and not status.billable(word)
    assert "uuid" not in json.loads(content_bytes(record))


@pytest.mark.parametrize(
    "time_state", [TimeState("unset", None), TimeState("holdover", 10), TimeState(bound_ms=27_000)]
)
def test_a_record_made_without_valid_time_is_kept_and_flagged(time_state):
    slot = Slot(QUARTER, reading_at(QUARTER))
    record = due_record("ETST0010000001", TAF7, 1, slot, time_state)
    assert record["values"]
    assert status.has(status.from_hex(record["status"]), status.TIME_NOT_VALID)
