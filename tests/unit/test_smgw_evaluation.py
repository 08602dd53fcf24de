"""Evaluation profiles and references: a mistake is named; life cycle; thresholds; status."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smgw_core_kit import CLS, METER, TAF7, TAF16
from smgw_month_kit import IMPORT, SUNDAY, TAF1, TAF2, TARIFF

from clsbench.errors import BadInput
from clsbench.smgw.core import status
from clsbench.smgw.core.evaluation import CYCLIC, ON_DEMAND, THRESHOLD, TafProfile, Threshold
from clsbench.smgw.core.parties import (
    ClsProfile,
    CommunicationProfile,
    ConsumerProfile,
    EmtProfile,
    Endpoint,
    MeterProfile,
    ProxyProfile,
    ServiceProfile,
)
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.readings import OriginalReading, Value
from clsbench.smgw.core.state_watch import StateWatch
from clsbench.smgw.core.time_of_use import DayProfile, Stage
from clsbench.smgw.core.validity import ARCHIVE, READY, RUNNING, Validity

POWER = "1-0:16.7.0*255"
LIMIT = Threshold(POWER, 4200, 0, hysteresis=200)
TAF10 = TafProfile(
    "taf10", 10, METER, "consumer1", "flexmarkt", modes=(ON_DEMAND, CYCLIC, THRESHOLD),
    thresholds=(LIMIT,),
)  # fmt: skip


def profiles(**changed) -> Profiles:
    content = {
        "smgw_id": "ETST0010000001",
        "meters": (MeterProfile(METER, communication="line"),),
        "communications": (CommunicationProfile("line", "sml-push", "/dev/ttyS0"),),
        "tafs": (TAF1, TAF2, TAF7, TAF10),
        "cls": (ClsProfile(CLS, "print"),),
        "emts": (EmtProfile("flexmarkt", Endpoint("h", 1), Endpoint("h", 2), (CLS,)),),
        "consumers": (ConsumerProfile("consumer1", login="c1"),),
        "services": (ServiceProfile("tech", fingerprint="t"),),
        "proxies": (ProxyProfile("p", CLS, "flexmarkt", "box.local"),),
    }
    return Profiles(**(content | changed))


def test_every_kind_of_profile_is_found_by_its_name():
    known = profiles()
    assert known.taf("taf10") is TAF10 and known.meter(METER) is known.meters[0]
    assert known.proxy("p") is known.proxies[0] and known.service("tech") is known.services[0]
    assert known.person("c1") is known.consumer("consumer1") is known.consumers[0]
    assert known.person("") is None and known.person_by_fingerprint("") is None
    assert known.person_by_fingerprint("t") is known.services[0]
    assert known.tafs_of("consumer1") == known.tafs and known.tafs_of("other") == ()
    assert known.with_number(1, 7) == (TAF1, TAF7)


STAGES_21 = replace(TARIFF, stages=tuple(Stage(n) for n in range(1, 22)))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"tafs": (replace(TAF1, time_of_use=TARIFF),)}, "'taf1': time_of_use belongs to TAF2"),
        ({"tafs": (replace(TAF2, time_of_use=None),)}, "'taf2': time_of_use is missing"),
        ({"tafs": (replace(TAF2, time_of_use=STAGES_21),)}, "1 to 20 of different numbers"),
        ({"tafs": (replace(TAF1, billing_months=4),)}, "'taf1': billing_months 4"),
        ({"tafs": (replace(TAF1, period_s=7),)}, "'taf1': period_s 7"),
        ({"tafs": (replace(TAF1, validity=Validity(5, 5)),)}, "'taf1': valid_to: 1970"),
        ({"tafs": (replace(TAF10, modes=()),)}, "'taf10': modes"),
        ({"tafs": (replace(TAF10, thresholds=()),)}, "'taf10': thresholds"),
        ({"tafs": (replace(TAF7, modes=(CYCLIC,)),)}, "'taf7': modes belongs to TAF9 and TAF10"),
        ({"tafs": (replace(TAF7, final_consumer="x"),)}, "'taf7': final_consumer 'x'"),
        ({"tafs": (replace(TAF16, emt=""),)}, "taf profile 'taf16': emt ''"),
        ({"meters": (MeterProfile(METER, communication="?"),)}, "communication '?'"),
        ({"communications": (CommunicationProfile("line", "pigeon"),)}, "link 'pigeon'"),
        ({"proxies": (ProxyProfile("p", "?", "flexmarkt", "b"),)}, "'p': cls_id '?'"),
        ({"proxies": (ProxyProfile("p", CLS, "?", "b"),)}, "'p': emt '?'"),
        ({"services": (ServiceProfile("tech", login="c1"),)}, "'tech': log-in or certificate"),
    ],
)
def test_a_profile_that_does_not_hang_together_is_refused_by_name(changed, named):
    with pytest.raises(BadInput, match=named.replace("?", r"\?")):
        profiles(**changed)


def test_a_register_the_meter_does_not_give_is_refused():
    meter = MeterProfile(METER, (IMPORT,), communication="line")
    assert profiles(meters=(meter,), tafs=(replace(TAF7, obis=(IMPORT,)),))
    with pytest.raises(BadInput, match=r"obis 1-0:16\.7\.0\*255 is not read"):
        profiles(meters=(meter,), tafs=(replace(TAF7, obis=(POWER,)),))


@pytest.mark.parametrize(
    ("day", "fault"),
    [
        (DayProfile(1, ()), "first switch is at 00:00"),
        (DayProfile(1, ((15, 1),)), "first switch is at 00:00"),
        (DayProfile(1, ((0, 1), (61, 2))), "quarter hours"),
        (DayProfile(1, ((0, 1), (60, 2), (60, 1))), "rise through the day"),
        (DayProfile(1, ((0, 9),)), "stage 9 is not there"),
    ],
)
def test_a_day_of_a_tariff_that_cannot_be_is_told(day, fault):
    faults = list(replace(TARIFF, days=(day, SUNDAY)).faults())
    assert any(fault in told for told in faults)
    assert list(TARIFF.faults()) == []
    assert any("day profile 9" in told for told in replace(TARIFF, week=(9,) * 7).faults())
    assert any("seven" in told for told in replace(TARIFF, week=(1,)).faults())


def test_a_profile_is_ready_then_running_then_archived():
    validity = Validity(10, 20)
    assert [validity.state(at) for at in (9, 10, 19, 20)] == [READY, RUNNING, RUNNING, ARCHIVE]
    assert Validity(10).state(10**15) == RUNNING


def watch_powers(*powers):
    watch = StateWatch(TAF10)
    told = []
    for at, power in enumerate(powers):
        passed = watch.take(OriginalReading(METER, at, (Value(POWER, power, 0, 27),)))
        told.append(bool(passed))
    return told


def test_a_threshold_tells_its_passing_and_not_its_first_sight():
    assert watch_powers(5000, 5100) == [False, False]
    assert watch_powers(1000, 4200, 4201, 5000) == [False, False, True, False]


def test_a_threshold_is_passed_downwards_only_beyond_the_hysteresis():
    assert watch_powers(1000, 5000, 4100, 4001, 4000, 4100, 4300) == [
        False, True, False, False, True, False, True,
    ]  # fmt: skip


def test_a_threshold_of_another_scaler_is_compared_exactly():
    watch = StateWatch(replace(TAF10, thresholds=(replace(LIMIT, limit=42, scaler=2),)))
    for raw, told in ((41_999, False), (42_001, True)):
        reading = OriginalReading(METER, 0, (Value(POWER, raw, -1, 27),))
        assert bool(watch.take(reading)) is told
    assert watch.take(OriginalReading(METER, 0, ())) == []


PTB = [
    ((), 0, 0),
    ((status.WARNING,), 0, 1),
    ((status.VALUE_NOT_VALIDATED,), 0, 2),
    ((status.TIME_NOT_VALID,), 0, 3),
    ((status.NO_VALUE,), 0, 3),
    ((), 1 << status.METER_MAGNETIC, 3),
    ((), 1 << status.METER_MECHANICAL, 3),
    ((), 1 << status.METER_FATAL, 4),
    ((status.ERROR_FATAL, status.WARNING), 0, 4),
]


@pytest.mark.parametrize(("bits", "meter_word", "ptb"), PTB)
def test_the_gravest_bit_decides_the_ptb_status(bits, meter_word, ptb):
    word = status.combine(bits, meter_word)
    assert status.ptb(word) == ptb
    assert bool(status.names(word)) is (ptb > 0)


def test_the_word_of_a_wireless_meter_is_not_read_as_that_of_a_base_meter():
    word = status.combine((), 1 << status.METER_FATAL, wireless=True)
    assert status.ptb(word) == 0 and status.has(word, status.METER_WIRELESS)
    assert not status.meter_has(word, status.METER_FATAL)


@given(st.integers(0, 2**32 - 1), st.sets(st.integers(0, 31)))
def test_a_status_word_survives_both_notations(meter_word, bits):
    word = status.combine(bits, meter_word)
    lsb_first = status.to_hex(word)
    assert status.from_hex(lsb_first) == word
    # the other order is ambiguous only where a mirrored word carries the identification too
    msb_first = status.to_hex(word, status.MSB_FIRST)
    read = status.from_hex(msb_first)
    assert read == word or status.to_hex(read) == msb_first


@pytest.mark.parametrize("text", ["", "A00000002000000", "g" * 16, "0x00000000000000", "0" * 16])
def test_what_is_no_status_word_is_refused(text):
    with pytest.raises(ValueError, match="status"):
        status.from_hex(text)


def test_both_notations_of_a_clean_reading():
    assert status.to_hex(status.combine()) == "A000000020000000"
    assert status.to_hex(status.combine(), status.MSB_FIRST) == "0000000500000004"
