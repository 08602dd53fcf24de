"""What the demo's checks are made from: registers, pairs, quarter-hour cuts, the bound."""

from dataclasses import replace
from fractions import Fraction

import pytest
from demo_kit import (
    LOAD_W,
    A,
    B,
    at_ms,
    device_fields,
    evidence,
    gateway_contents,
    gateway_records,
    sealed_chain,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.demo.evidence import (
    Slot,
    agreement_bound_dwh,
    device_dwh,
    open_after,
    pair_up,
    quarter_hours,
    to_dwh,
)

MIDDAY = "6f1b0e52-0000-4000-8000-00000000000c"


def pair(apart_ms=(0, 0), bounds_ms=(0, 0)):
    """The four records of A, the gateway's so much later, the device's clock within so much."""
    fields = [one for one in device_fields() if one[2] == 16][:2]
    contents = gateway_contents()[:2]
    for one, content, apart, bound in zip(fields, contents, apart_ms, bounds_ms, strict=True):
        one[11] = [1, bound]
        content["captured_ms"] = one[9] + apart
    return pair_up([A], sealed_chain(fields), gateway_records(contents))[0]


@pytest.mark.parametrize(
    ("raw", "scaler", "dwh"),
    [
        (5, -1, 5),
        (5, 0, 50),
        (5, 1, 500),
        (5, 3, 50_000),
        (59, -2, 5),
        (599_999, -5, 59),
        (0, 9, 0),
    ],
)
def test_a_register_becomes_tenths_of_a_watt_hour_and_is_cut_off(raw, scaler, dwh):
    assert to_dwh(raw, scaler) == dwh


@given(st.integers(0, 2**63), st.integers(-9, 9))
@settings(max_examples=100)
def test_no_register_loses_as_much_as_a_tenth_of_a_watt_hour(raw, scaler):
    exact = raw * Fraction(10) ** (scaler + 1)
    assert 0 <= exact - to_dwh(raw, scaler) < 1


def test_a_device_record_without_the_register_is_named():
    fields = device_fields()
    fields[2][8] = []
    with pytest.raises(ValueError, match="record 3 holds no 1-0:1.8.0"):
        device_dwh(sealed_chain(fields)[2])


def test_a_gateway_record_without_the_register_holds_none():
    contents = gateway_contents()[:3]
    contents[0]["values"] = []
    contents[1]["values"][0]["obis"] = "1-0:2.8.0*255"
    contents[2]["values"][0]["unit"] = 27
    assert [r.import_dwh() for r in gateway_records(contents)] == [None, None, None]


def test_the_kind_of_a_gateway_record_is_a_number():
    assert {r.taf for r in gateway_records(gateway_contents())} == {7, 16}


def test_begin_and_end_of_both_witnesses_make_a_pair():
    sound = evidence()
    assert [one.uuid for one in sound.pairs] == [A, B]
    for one in sound.pairs:
        assert one.complete
        assert (one.device_begin.uuid, one.device_begin.event) == (one.uuid, "begin")
        assert (one.device_end.uuid, one.device_end.event) == (one.uuid, "end")
        assert one.gateway_begin.content["uuid"] == one.gateway_end.content["uuid"] == one.uuid


@pytest.mark.parametrize("number", [5, 6, 7])
def test_a_transaction_that_nobody_ended_still_ends(number):
    """failsafe, tamper, power-fail."""
    fields = device_fields()
    fields[3][4] = number
    records = sealed_chain(fields)
    (one, _) = pair_up([A, B], records, gateway_records(gateway_contents()))
    assert one.complete and one.device_end.seq == 4
    assert open_after(records, records[3]) is None


def test_a_transaction_nobody_saw_is_a_pair_of_nothing():
    (one,) = pair_up([MIDDAY], evidence().device, evidence().gateway)
    assert not one.complete
    assert one.device_begin is one.device_end is one.gateway_begin is one.gateway_end is None


def test_open_after_tells_whose_energy_follows_a_record():
    records = evidence().device
    assert [open_after(records, record) for record in records] == [
        None,  # 0 min
        A,  # 5 min
        A,  # 15 min
        None,  # 26 min
        None,  # 30 min
        B,  # 37 min
        B,  # 45 min
        *[None] * 5,  # 52, 60, 75, 90, 105 min
    ]


def test_quarter_hours_are_cut_at_every_record():
    slots = evidence().slots
    assert slots[:4] == [
        Slot(at_ms(0), at_ms(15), 10_000, {A: 10_000}),
        Slot(at_ms(15), at_ms(30), 11_000, {A: 11_000}),
        Slot(at_ms(30), at_ms(45), 8_000, {B: 8_000}),
        Slot(at_ms(45), at_ms(60), 7_000, {B: 7_000}),
    ]
    assert slots[4:] == [
        Slot(at_ms(60), at_ms(75), 100, {None: 100}),
        Slot(at_ms(75), at_ms(90), 0, {}),
        Slot(at_ms(90), at_ms(105), 0, {}),
    ]


def test_two_transactions_share_a_quarter_hour_with_the_rest_between_them():
    """0: A begins, 4: A ends, 6: B begins, 11: B ends, 15; the register runs all the time."""
    uuids = [bytes.fromhex(uuid.replace("-", "")) for uuid in (A, B)]
    told = [
        (0, 7, None, None, 1000),
        (0, 16, uuids[0], 1, 1000),
        (4, 16, uuids[0], 2, 1040),
        (6, 16, uuids[1], 1, 1043),
        (11, 16, uuids[1], 2, 1093),
        (15, 7, None, None, 1100),
    ]
    fields = []
    for (minute, taf, uuid, event, raw), one in zip(told, device_fields(), strict=False):
        one = {key: value for key, value in one.items() if key not in (3, 4, 5)}
        one |= {2: taf, 9: at_ms(minute), 10: at_ms(minute)}
        one[8] = [[one[8][0][0], raw, 1, 30]]
        fields.append(one | ({3: uuid, 4: event} if uuid else {}))
    assert quarter_hours(sealed_chain(fields)) == [
        Slot(at_ms(0), at_ms(15), 10_000, {A: 4_000, None: 1_000, B: 5_000})
    ]


@pytest.mark.parametrize("kept", [[], [0], [1, 3]])
def test_without_two_readings_on_the_grid_there_is_no_quarter_hour(kept):
    records = sealed_chain(device_fields())
    assert quarter_hours([records[index] for index in kept]) == []


def test_energy_before_the_first_and_after_the_last_quarter_hour_is_in_none():
    records = sealed_chain(device_fields())[1:6]  # 5 min (begin of A) to 37 min (begin of B)
    assert quarter_hours(records) == [Slot(at_ms(15), at_ms(30), 11_000, {A: 11_000})]


def test_the_bound_in_figures():
    """6000 W for 3.6 s is 6 Wh; 3.6 s are 0.7 + 0.5 apart, 0.3 + 0.1 of clock, twice 1.0 s on
    the way; the registers' last digits are 10.1 Wh more."""
    bound, parts = agreement_bound_dwh(pair((700, 500), (300, 100)), LOAD_W, 1000, 101)
    assert bound == 60 + 101
    assert parts == {
        "begin_apart_ms": 700,
        "begin_time_bound_ms": 300,
        "end_apart_ms": 500,
        "end_time_bound_ms": 100,
        "latency_ms": 2000,
        "max_power_w": 6000,
        "resolution_dwh": 101,
    }


def test_a_gateway_that_reads_first_is_as_far_apart():
    sooner, _ = agreement_bound_dwh(pair((-700, -500)), LOAD_W, 0, 0)
    later, _ = agreement_bound_dwh(pair((700, 500)), LOAD_W, 0, 0)
    assert sooner == later == 20


def test_the_bound_is_rounded_up():
    bounds = [agreement_bound_dwh(pair((ms, 0)), LOAD_W, 0, 0)[0] for ms in (0, 1, 60, 61)]
    assert bounds == [0, 1, 1, 2]  # 6000 W for 60 ms is 0.1 Wh


@given(
    st.tuples(st.integers(-60_000, 60_000), st.integers(-60_000, 60_000)),
    st.tuples(st.integers(0, 27_000), st.integers(0, 27_000)),
    st.integers(0, 50_000),
    st.integers(0, 5000),
    st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_the_bound_follows_from_the_parts_shown(apart_ms, bounds_ms, power_w, latency_ms, step):
    bound, parts = agreement_bound_dwh(pair(apart_ms, bounds_ms), power_w, latency_ms, step)
    shown_ms = sum(ms for name, ms in parts.items() if name.endswith("_ms"))
    exact = Fraction(parts["max_power_w"] * shown_ms, 360_000) + parts["resolution_dwh"]
    assert exact <= bound < exact + 1


@pytest.mark.parametrize("missing", ["device_begin", "device_end", "gateway_begin", "gateway_end"])
def test_without_all_four_readings_there_is_no_bound(missing):
    with pytest.raises(ValueError, match=f"{A}: no two {missing.split('_')[1]} readings"):
        agreement_bound_dwh(replace(pair(), **{missing: None}), LOAD_W, 0, 0)


def test_without_a_time_there_is_no_bound():
    whole = pair()
    untimed = replace(whole.device_end, captured_ms=None)
    with pytest.raises(ValueError, match="no two end readings with a time"):
        agreement_bound_dwh(replace(whole, device_end=untimed), LOAD_W, 0, 0)
    content = whole.gateway_begin.content | {"captured_ms": None}
    untimed = replace(whole.gateway_begin, content=content)
    with pytest.raises(ValueError, match="no two begin readings with a time"):
        agreement_bound_dwh(replace(whole, gateway_begin=untimed), LOAD_W, 0, 0)
