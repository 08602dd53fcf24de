"""The meter on RS-485: read as it is, never believed when its reply is spoiled."""

import uuid as uuidlib

import pytest

from clsbench.errors import PeerSilent
from clsbench.hil.meter import IMPORT, IMPORT_SCALER
from dicamm import codes

# kind of fault -> what a begin is refused with
FAULTS = {
    "silence": codes.METER_TIMEOUT,
    "slow": codes.METER_TIMEOUT,
    "crc": codes.METER_CRC,
    "bits": codes.METER_CRC,
    "truncated": codes.METER_SHORT,
    "unit": codes.METER_WRONG_UNIT,
    "function": codes.METER_WRONG_FUNCTION,
    "length": codes.METER_WRONG_LENGTH,
    "exception": codes.METER_EXCEPTION,
}
BRIEF = ("silence", "crc", "truncated", "exception")
HOW = {"slow": {"ms": 1500}, "exception": {"code": 2}}


@pytest.mark.long
def test_the_meter_is_polled_without_a_fault(bench, board, meter):
    before = bench.link.status()["meter"]
    asked = meter.requests
    board.sleep(3)
    after = bench.link.status()["meter"]
    assert after["good_reads"] - before["good_reads"] >= 3
    assert after["failed_reads"] == before["failed_reads"]
    assert after["discarded"] == before["discarded"]
    assert meter.requests > asked


def test_a_record_holds_what_the_register_shows(bench, meter):
    for wh in (1_000_000, 1_000_010, 9_999_990):
        meter.wh = wh
        uuid = bench.transaction()
        for record in bench.records_of(uuid):
            (value,) = record.values
            assert (value.obis, value.unit, value.scaler) == (IMPORT, 30, IMPORT_SCALER)
            assert value.raw * 10**value.scaler == wh


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k in BRIEF else pytest.mark.long) for k in FAULTS]
)
def test_a_begin_on_a_spoiled_reply_is_refused_and_leaves_the_relay_open(bench, meter, kind):
    meter.misbehave(kind, **HOW.get(kind, {}))
    uuid = uuidlib.uuid4().bytes
    code, seq, _words = bench.link.command("begin", uuid)
    assert code in (FAULTS[kind], codes.METER_UNHEALTHY)  # a poll may have found it first
    assert not bench.relay_closed
    bench.status_when(lambda status: status["meter"]["error"] == FAULTS[kind])
    meter.heal()
    bench.status_when(lambda status: status["meter"]["healthy"])
    (record,) = bench.records_of(uuid)
    assert (record.seq, record.event, record.cause) == (seq, "refused", code)
    assert not record.values


def test_one_garbled_reply_costs_a_repeat_and_nothing_else(bench, meter):
    before = bench.link.status()["meter"]
    meter.misbehave("crc", count=1)
    bench.transaction()
    after = bench.link.status()["meter"]
    assert after["discarded"]["crc"] == before["discarded"]["crc"] + 1
    assert after["failed_reads"] == before["failed_reads"]


@pytest.mark.parametrize("where", ["before", "behind"])
def test_stray_bytes_around_a_reply_are_never_part_of_a_reading(bench, meter, where):
    meter.wh = 2_000_000
    meter.misbehave("stray", count=1, **{where: "55aa"})
    uuid = uuidlib.uuid4().bytes
    code, _seq, _words = bench.link.command("begin", uuid)
    records = bench.records_of(uuid)
    for value in (value for record in records for value in record.values):
        assert value.raw * 10**value.scaler == 2_000_000
    assert bench.relay_closed == (code == 0)


@pytest.mark.long
def test_a_meter_that_was_lost_is_taken_back_by_itself(bench, meter):
    meter.misbehave("silence")
    bench.status_when(lambda status: not status["meter"]["healthy"])
    code, _seq, _words = bench.link.command("begin", uuidlib.uuid4().bytes)
    assert code == codes.METER_UNHEALTHY
    meter.heal()
    try:
        bench.status_when(lambda status: status["meter"]["healthy"], 5)
    except PeerSilent as error:
        raise AssertionError("the meter is back, and nobody noticed") from error
    bench.transaction()
