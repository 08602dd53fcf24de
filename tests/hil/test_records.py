"""Records of events: sealed, numbered, chained, one for each command however often it comes."""

import uuid as uuidlib

import cbor2
import pytest

from clsbench.device.records import SealBroken, check_chain, open_record
from clsbench.hil.benching import METER_ID
from clsbench.pki.layout import DEFAULT_CLS
from dicamm import codes


def test_begin_and_end_bear_identity_text_and_both_times(bench):
    event_ms = bench.utc_ms() - 5
    uuid = uuidlib.uuid4().bytes
    before_ms = bench.utc_ms()
    for action in ("begin", "end"):
        assert bench.link.command(action, uuid, "Säule 7", event_ms)[0] == 0
    after_ms = bench.utc_ms()
    begin, end = bench.records_of(uuid)
    assert (begin.event, end.event, end.seq) == ("begin", "end", begin.seq + 1)
    for record in (begin, end):
        assert (record.taf, record.device_id, record.cls_id) == (16, DEFAULT_CLS, DEFAULT_CLS)
        assert (record.meter_id, record.text, record.event_ms) == (METER_ID, "Säule 7", event_ms)
        assert record.time_state == "synchronised" and record.bound_ms is not None
        slack_ms = record.bound_ms + 50
        assert before_ms - slack_ms <= record.captured_ms <= after_ms + slack_ms


def test_all_records_are_gapless_and_linked(bench):
    for _ in range(3):
        bench.transaction()
    records = bench.records()
    assert check_chain(records) == []
    assert [record.seq for record in records] == list(
        range(records[0].seq, records[0].seq + len(records))
    )


def test_a_record_with_any_sealed_byte_changed_is_found_out(bench):
    uuid = bench.transaction()
    sealed = bench.records_of(uuid)[0].sealed
    payload = cbor2.loads(sealed).value[2]
    begin = sealed.index(payload)
    for place in range(begin, begin + len(payload)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(SealBroken):
            open_record(changed, bench.key)


def test_a_repeated_command_gets_the_first_answer_and_no_second_record(bench):
    uuid = bench.begin()
    first = bench.records_of(uuid)
    assert bench.link.command("begin", uuid)[:2] == (0, first[0].seq)
    assert bench.records_of(uuid) == first
    bench.end(uuid)
    ended = bench.records_of(uuid)
    assert bench.link.command("end", uuid)[:2] == (0, ended[1].seq)
    assert bench.records_of(uuid) == ended


def test_a_change_of_limit_is_recorded_in_its_transaction(bench, meter):
    uuid = bench.begin()
    meter.wh += 100
    code, seq, _words = bench.link.command("change", uuid, "4200 W")
    assert code == 0 and bench.relay_closed
    bench.end(uuid)
    change = bench.records_of(uuid)[1]
    assert (change.seq, change.event, change.text) == (seq, "change", "4200 W")
    assert change.values[0].raw * 10 ** change.values[0].scaler == meter.wh


def test_an_end_of_a_transaction_that_is_not_open_is_refused_and_recorded(bench):
    uuid = uuidlib.uuid4().bytes
    code, seq, _words = bench.link.command("end", uuid)
    assert code == codes.NOT_OPEN
    (record,) = bench.records_of(uuid)
    assert (record.seq, record.event, record.cause) == (seq, "refused", codes.NOT_OPEN)
