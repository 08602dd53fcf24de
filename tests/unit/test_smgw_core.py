"""The gateway's pure core: profiles, rights, status word, readings, TAF7, TAF16, records."""

import json
from dataclasses import dataclass, replace
from types import SimpleNamespace

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.errors import BadInput
from clsbench.meters.device_id import server_id
from clsbench.smgw.core import rights, status
from clsbench.smgw.core.fields import FieldError
from clsbench.smgw.core.profiles import (
    ClsProfile,
    EmtProfile,
    Endpoint,
    MeterProfile,
    Profiles,
    TafProfile,
)
from clsbench.smgw.core.readings import (
    OriginalReading,
    ReadingRefused,
    Value,
    from_telegram,
    full_obis,
)
from clsbench.smgw.core.records import TimeState, content_bytes, taf7_record, taf16_record
from clsbench.smgw.core.rights import Grant, Refusal, Rights, Target
from clsbench.smgw.core.sealed import NotSealed, split_sequence
from clsbench.smgw.core.taf7 import QuarterHours, Slot
from clsbench.smgw.core.taf16 import Announcement, Conflict, Events, read_announcement

METER = "1EMH0098765432"
CLS, OTHER_CLS = "ETST0020000017", "ETST0020000018"
SILENT_CLS = "ETST0020000019"  # in no TAF16 profile
UUID = "0f3c1a52-7b1e-4a6a-9d53-2a54b1a7c001"
QUARTER = 900_000

TAF16 = TafProfile("taf16", 16, METER, "consumer1", "flexmarkt", (CLS, OTHER_CLS), True)
HAN_ONLY = replace(TAF16, profile_id="taf16-han", wan_source=False)
FOREIGN = replace(TAF16, profile_id="taf16-other", emt="other", event_sources=(CLS,))
TAF7 = TafProfile("taf7", 7, METER, "consumer1", "flexmarkt")


def profiles(**changed) -> Profiles:
    content = {
        "smgw_id": "ETST0010000001",
        "meters": (MeterProfile(METER),),
        "tafs": (TAF16, HAN_ONLY, FOREIGN, TAF7),
        "cls": tuple(ClsProfile(i, f"print of {i}") for i in (CLS, OTHER_CLS, SILENT_CLS)),
        "emts": (
            EmtProfile("flexmarkt", Endpoint("h", 1), Endpoint("h", 2), (CLS, SILENT_CLS)),
            EmtProfile("other", Endpoint("h", 3), Endpoint("h", 4), (CLS,)),
        ),
    }
    return Profiles(**(content | changed))


@dataclass(frozen=True)
class Who:
    role: str
    name: str
    fingerprint: str = ""


BOX = Who("CLS", CLS, f"print of {CLS}")
GWA = Who("GWA", "gwa-test")
EMT = Who("EMT", "flexmarkt")


def decide(who, action, **target):
    return Rights(profiles(), "gwa-test").decide(who, action, Target(**target))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"tafs": (replace(TAF16, emt="nobody"),)}, "taf profile 'taf16': emt 'nobody'"),
        ({"tafs": (replace(TAF16, meter_id="1X"),)}, "taf profile 'taf16': meter_id '1X'"),
        ({"tafs": (replace(TAF16, event_sources=("E",)),)}, "'taf16': event_sources 'E'"),
        ({"tafs": (replace(TAF16, event_sources=()),)}, "'taf16': event_sources is empty"),
        ({"tafs": (replace(TAF7, wan_source=True),)}, "'taf7': wan_source"),
        ({"tafs": (replace(TAF7, number=8),)}, "'taf7': number 8"),
        ({"tafs": (TAF7, TAF7)}, "'taf7': profile_id is used twice"),
        ({"cls": ()}, "emt profile 'flexmarkt': cls_ids"),
    ],
)
def test_a_wrong_reference_is_refused_naming_profile_and_field(changed, named):
    with pytest.raises(BadInput, match=named):
        profiles(**changed)


ALLOWED = [
    (BOX, rights.READ_TIME, {}),
    (BOX, rights.FETCH_COMMAND, {}),
    (BOX, rights.ANSWER_COMMAND, {}),
    (BOX, rights.DELIVER_RECORDS, {}),
    (BOX, rights.ANNOUNCE_EVENT, {"cls_id": CLS}),
    (GWA, rights.CONNECT, {"emt": "flexmarkt"}),
    (GWA, rights.DISCONNECT, {"emt": "flexmarkt"}),
    (GWA, rights.READ_STATUS, {}),
    (EMT, rights.COMMAND_CLS, {"cls_id": CLS, "taf_profile": "taf16"}),
    (EMT, rights.SIGNAL_EVENT, {"cls_id": CLS, "taf_profile": "taf16"}),
]

REFUSED = [
    (BOX, rights.ANNOUNCE_EVENT, {"cls_id": OTHER_CLS}, 403),
    (replace(BOX, fingerprint="strange"), rights.READ_TIME, {}, 403),
    (replace(BOX, name=OTHER_CLS), rights.READ_TIME, {}, 403),
    (replace(BOX, role="SMGW"), rights.READ_TIME, {}, 403),
    (Who("CLS", SILENT_CLS, f"print of {SILENT_CLS}"), rights.ANNOUNCE_EVENT, {}, 403),
    (GWA, rights.CONNECT, {"emt": "nobody"}, 404),
    (GWA, rights.CONNECT, {}, 404),
    (replace(GWA, name="gwa-other"), rights.CONNECT, {"emt": "flexmarkt"}, 403),
    (replace(GWA, name="gwa-other"), rights.READ_STATUS, {}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": "ETST0020000099", "taf_profile": "taf16"}, 404),
    (EMT, rights.COMMAND_CLS, {"cls_id": OTHER_CLS, "taf_profile": "taf16"}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": SILENT_CLS, "taf_profile": "taf16"}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": CLS, "taf_profile": "taf16-han"}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": CLS, "taf_profile": "taf16-other"}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": CLS, "taf_profile": "taf7"}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": CLS, "taf_profile": "unheard-of"}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": CLS}, 403),
    (Who("EMT", "stranger"), rights.COMMAND_CLS, {"cls_id": CLS, "taf_profile": "taf16"}, 403),
]


@pytest.mark.parametrize(("who", "action", "target"), ALLOWED)
def test_what_a_profile_allows_is_granted(who, action, target):
    assert isinstance(decide(who, action, **target), Grant)


@pytest.mark.parametrize(("who", "action", "target", "http_status"), REFUSED)
def test_what_no_profile_allows_is_refused_with_its_status(who, action, target, http_status):
    verdict = decide(who, action, **target)
    assert isinstance(verdict, Refusal)
    assert verdict.http_status == http_status and verdict.reason


def test_an_action_of_another_role_is_refused():
    granted = {(who.role, action) for who, action, _ in ALLOWED}
    actions = {action for _, action in granted}
    target = {"cls_id": CLS, "taf_profile": "taf16", "emt": "flexmarkt"}
    for who in (BOX, GWA, EMT, Who("SMGW", "ETST0010000001")):
        for action in actions | {"unheard-of"}:
            if (who.role, action) not in granted:
                assert isinstance(decide(who, action, **target), Refusal), (who, action)


def test_an_event_is_granted_for_every_profile_that_names_its_source():
    grant = decide(BOX, rights.ANNOUNCE_EVENT, cls_id=CLS)
    assert isinstance(grant, Grant)
    assert grant.tafs == (TAF16, HAN_ONLY, FOREIGN)


def test_a_clean_status_word_reads_as_published():
    assert status.to_hex(status.combine()) == "A000000020000000"
    assert status.billable(status.combine())


@pytest.mark.parametrize("bit", [1, 8, 9, 13])
def test_each_bit_that_forbids_billing_does(bit):
    assert not status.billable(status.combine([bit]))


def test_a_manipulated_meter_shows_in_the_gateway_word():
    for bit in (9, 10):
        assert status.has(status.combine([], 1 << bit), status.METER_TAMPER)
    assert not status.billable(status.combine([], 1 << 17))


@given(st.sets(st.integers(3, 31)), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_a_status_word_survives_writing_and_reading(bits, meter_word):
    word = status.combine(bits, meter_word)
    assert status.from_hex(status.to_hex(word)) == word


def test_a_status_word_of_the_other_bit_order_is_recognised_and_a_foreign_one_refused():
    assert status.from_hex("0000010500100504") == 0x00100504 << 32 | 0x105
    for strange in ("0000000000000000", "A0", "4000000020000000"):
        with pytest.raises(ValueError, match="status"):
            status.from_hex(strange)


def entry(obis, raw, unit=30, scaler=-1, meter_status=None):
    return SimpleNamespace(obis=obis, raw=raw, scaler=scaler, unit=unit, status=meter_status)


IMPORT = bytes.fromhex("0100010800ff")
EXPORT = bytes.fromhex("0100020800ff")


def telegram(*entries, meter_id=METER, refused=0):
    return SimpleNamespace(server_id=server_id(meter_id), entries=list(entries), refused=refused)


def test_a_reading_holds_the_profile_registers_and_the_meters_status():
    frame = telegram(entry(IMPORT, 123_456, meter_status=0x104), entry(EXPORT, 7))
    reading = from_telegram(frame, 1000, MeterProfile(METER, (full_obis("1-0:1.8.0"),)), b"raw")
    assert reading.values == (Value("1-0:1.8.0*255", 123_456, -1, 30),)
    assert (reading.meter_id, reading.captured_ms, reading.meter_word) == (METER, 1000, 0x104)
    assert reading.telegram == b"raw"


def test_without_a_register_list_every_numeric_register_with_a_unit_counts():
    frame = telegram(
        entry(IMPORT, 5),
        entry(EXPORT, 6),
        entry(b"\x01\x00`\x01\x00\xff", b"id"),
        entry(IMPORT, 9),
    )
    frame.entries.append(entry(bytes.fromhex("0100100700ff"), 1, unit=None))
    reading = from_telegram(frame, 0, MeterProfile(METER))
    assert [(value.obis, value.raw) for value in reading.values] == [
        ("1-0:1.8.0*255", 5),
        ("1-0:2.8.0*255", 6),
    ]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (telegram(entry(IMPORT, 1), meter_id="1EMH0000000001"), "1EMH0000000001 answers where"),
        (telegram(entry(EXPORT, 1)), "1-0:1.8.0\\*255 missing"),
        (telegram(entry(IMPORT, 1), refused=1), "not whole"),
        (SimpleNamespace(server_id=None, entries=[], refused=0), "without meter id"),
    ],
)
def test_a_telegram_that_is_no_reading_of_the_profile_is_refused(frame, reason):
    with pytest.raises(ReadingRefused, match=reason):
        from_telegram(frame, 0, MeterProfile(METER, ("1-0:1.8.0*255",)))


def reading_at(captured_ms, raw=1):
    return OriginalReading(METER, captured_ms, (Value("1-0:1.8.0*255", raw, -1, 30),))


def due(series, now_ms):
    return [
        (slot.due_ms, slot.reading and slot.reading.captured_ms) for slot in series.decide(now_ms)
    ]


def test_the_reading_nearest_to_the_due_time_is_taken():
    series = QuarterHours(after_ms=0)
    for moment in (QUARTER - 3000, QUARTER - 1000, QUARTER + 2000):
        series.take(reading_at(moment))
    assert due(series, QUARTER + 2000) == [(QUARTER, QUARTER - 1000)]


def test_a_reading_before_the_due_time_waits_for_a_nearer_one():
    series = QuarterHours(after_ms=0)
    series.take(reading_at(QUARTER - 1000))
    assert due(series, QUARTER + 500) == []
    series.take(reading_at(QUARTER + 900))
    assert due(series, QUARTER + 900) == [(QUARTER, QUARTER + 900)]


@pytest.mark.parametrize("offset", [-9000, 9000])
def test_a_reading_on_the_edge_of_the_window_counts(offset):
    series = QuarterHours(after_ms=0)
    series.take(reading_at(QUARTER + offset))
    assert due(series, QUARTER + 9001) == [(QUARTER, QUARTER + offset)]


@pytest.mark.parametrize("offset", [-9001, 9001])
def test_a_reading_just_outside_the_window_leaves_a_gap(offset):
    series = QuarterHours(after_ms=0)
    series.take(reading_at(QUARTER + offset))
    assert due(series, QUARTER + 9000) == []
    assert due(series, QUARTER + 9001) == [(QUARTER, None)]


def test_a_decided_due_time_is_never_decided_again_though_time_steps_back():
    series = QuarterHours(after_ms=0)
    series.take(reading_at(QUARTER))
    assert due(series, QUARTER) == [(QUARTER, QUARTER)]
    series.take(reading_at(QUARTER))
    assert due(series, QUARTER) == []
    assert due(series, 2 * QUARTER + 9001) == [(2 * QUARTER, None)]


def test_after_an_outage_every_due_time_is_a_gap_in_order():
    series = QuarterHours(after_ms=QUARTER)
    now = 5 * QUARTER + 10_000
    assert due(series, now) == [(n * QUARTER, None) for n in (2, 3, 4, 5)]


def test_due_times_past_keeping_are_left_out_and_counted():
    series = QuarterHours(after_ms=QUARTER)
    assert series.skip_to(10 * QUARTER) == 9
    assert series.next_due_ms == 11 * QUARTER
    assert series.skip_to(3 * QUARTER) == 0


@given(st.lists(st.integers(0, 4 * QUARTER), max_size=40))
@settings(max_examples=60)
def test_no_slot_ever_holds_a_reading_outside_its_window(moments):
    series = QuarterHours(after_ms=0)
    slots: list[Slot] = []
    for moment in sorted(moments):
        series.take(reading_at(moment))
        slots += series.decide(moment)
    slots += series.decide(4 * QUARTER + 9001)
    assert [slot.due_ms for slot in slots] == [n * QUARTER for n in (1, 2, 3, 4)]
    for slot in slots:
        inside = [m for m in moments if abs(m - slot.due_ms) <= 9000]
        if slot.reading is None:
            assert not inside
        else:
            nearest = min(abs(m - slot.due_ms) for m in inside)
            assert abs(slot.reading.captured_ms - slot.due_ms) == nearest


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
    record = taf7_record("ETST0010000001", TAF7, 1, Slot(QUARTER, None), TimeState())
    assert record["values"] == [] and record["captured_ms"] is None
    word = status.from_hex(record["status"])
    assert status.has(word, status.NO_VALUE) and not status.billable(word)
    assert "uuid" not in json.loads(content_bytes(record))


@pytest.mark.parametrize(
    "time_state", [TimeState("unset", None), TimeState("holdover", 10), TimeState(bound_ms=27_000)]
)
def test_a_record_made_without_valid_time_is_kept_and_flagged(time_state):
    slot = Slot(QUARTER, reading_at(QUARTER))
    record = taf7_record("ETST0010000001", TAF7, 1, slot, time_state)
    assert record["values"]
    assert status.has(status.from_hex(record["status"]), status.TIME_NOT_VALID)


def sealed(seq, **more):
    payload = cbor2.dumps({1: seq, **({6: more["cls_id"]} if more else {})})
    return cbor2.dumps(cbor2.CBORTag(17, [b"\xa1\x01\x05", {4: b"id"}, payload, bytes(32)]))


def test_sealed_records_are_split_byte_for_byte():
    first, second = sealed(3), sealed(4, cls_id=CLS)
    records = split_sequence(first + second)
    assert [(r.seq, r.cls_id, r.sealed) for r in records] == [(3, None, first), (4, CLS, second)]


@pytest.mark.parametrize(
    "body", [b"\x00", b"\xff", sealed(1)[:-1], sealed(0), sealed("1"), b"\xd1\x80", b"{}" * 9]
)
def test_what_is_no_sealed_record_is_refused(body):
    with pytest.raises(NotSealed):
        split_sequence(body)


@given(st.binary(max_size=80))
@settings(max_examples=150)
def test_splitting_is_total(body):
    try:
        records = split_sequence(body)
    except NotSealed:
        return
    assert b"".join(record.sealed for record in records) == body
