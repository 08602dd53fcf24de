"""NTP packets: the bytes, what a server answers, each rule by which an answer is left alone."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clsbench.smgw.core import ntp
from clsbench.smgw.core.ntp import (
    REASONS,
    AnswerIgnored,
    Packet,
    RequestIgnored,
    Upstream,
    answer,
    read_answer,
    request,
    stamp,
    unix_ns,
)

S = 10**9
RANDOM = 0x0123456789ABCDEF
NOW = 1_790_000_000 * S + 250_000_000  # September 2026
RAW = 5_000 * S  # what the client's oscillator says then
UPSTREAM = Upstream(stratum=1, dispersion_ns=2_000_000, synchronised_ns=NOW - 30 * S)


def answered(delay_ns: int = 20_000_000, upstream: Upstream = UPSTREAM, **changed) -> bytes:
    """A server's answer, its way back as long as the way there; then fields are changed."""
    packet = Packet.decode(answer(request(RANDOM), NOW, NOW + 1_000_000, upstream))
    return dataclasses.replace(packet, **changed).encode()


def taken(data: bytes, round_trip_ns: int = 41_000_000):
    return read_answer(data, RANDOM, RAW, RAW + round_trip_ns)


def test_a_request_is_48_bytes_that_tell_nothing_but_version_and_mode():
    # leap 0, version 4, mode 3; stratum 0, poll 0, precision 32; zeros; the random stamp
    assert request(RANDOM).hex() == "23000020" + "00" * 36 + "0123456789abcdef"


def test_a_servers_answer_byte_by_byte():
    data = answer(request(RANDOM), NOW, NOW, UPSTREAM)
    assert len(data) == 48
    assert data[:4].hex() == "240200ec"  # version 4, mode 4; stratum 2; poll 0; precision -20
    assert data[4:12].hex() == "0000000000000084"  # no delay; 2 ms of dispersion in 1/65536 s
    assert data[12:16] == b"GNSS" and data[24:32].hex() == "0123456789abcdef"
    seconds = NOW // S + 2_208_988_800
    assert data[32:40] == data[40:48] == seconds.to_bytes(4, "big") + bytes.fromhex("40000000")


@pytest.mark.parametrize(
    ("utc_s", "seconds"),
    [
        (0, 2_208_988_800),
        (1_790_000_000, 3_998_988_800),
        (2_085_978_495, 2**32 - 1),  # the last second of era 0
        (2_085_978_496, 0),  # 7 February 2036 06:28:16, era 1
        (2_147_483_648, 61_505_152),  # past the end of signed 32-bit Unix time
    ],
)
def test_time_stamps_pass_the_end_of_the_era(utc_s, seconds):
    assert stamp(utc_s * S) >> 32 == seconds
    assert unix_ns(stamp(utc_s * S)) == utc_s * S


@given(st.integers(0, ntp.LAST_UTC_NS))
def test_time_stamps_survive_to_the_nanosecond(utc_ns):
    assert abs(unix_ns(stamp(utc_ns)) - utc_ns) <= 1


@given(st.binary(min_size=48, max_size=48))
def test_every_packet_is_read_back_as_it_was(data):
    assert Packet.decode(data).encode() == data


def test_an_answer_gives_utc_and_a_bound_that_holds_it():
    sample = taken(answered())
    assert sample.at_ns == RAW + 41_000_000
    assert abs(sample.utc_ns - (NOW + 21_000_000)) <= 2
    half_way, dispersion, precision = 20_000_000, 2_014_160, 953
    assert abs(sample.bound_ns - half_way - dispersion - precision) <= 3


@given(there=st.integers(0, 4 * S), work=st.integers(0, S), back=st.integers(0, 4 * S))
def test_the_bound_holds_whatever_the_ways_are(there, work, back):
    data = answer(request(RANDOM), NOW, NOW + work, UPSTREAM)
    sample = read_answer(data, RANDOM, RAW, RAW + there + work + back + 4)
    assert abs(sample.utc_ns - (NOW + work + back)) <= sample.bound_ns


@pytest.mark.parametrize(
    ("reason", "data", "round_trip_ns"),
    [
        (ntp.LENGTH, answered()[:47], 41_000_000),
        (ntp.LENGTH, answered() + b"\x00", 41_000_000),
        (ntp.VERSION_OLD, answered(version=3), 41_000_000),
        (ntp.MODE, answered(mode=3), 41_000_000),
        (ntp.MODE, answered(mode=5), 41_000_000),
        (ntp.LEAP, answered(leap=3), 41_000_000),
        (ntp.STRATUM, answered(stratum=0), 41_000_000),
        (ntp.STRATUM, answered(stratum=16), 41_000_000),
        (ntp.ORIGIN, answered(origin=RANDOM ^ 1), 41_000_000),
        (ntp.ORIGIN, answered(origin=0), 41_000_000),
        (ntp.SLOW, answered(), 9 * S + 1),
        (ntp.ORDER, answered(receive=stamp(NOW + S)), 41_000_000),
        (ntp.ORDER, answered(receive=stamp(NOW - S)), 41_000_000),
        (ntp.RANGE, answered(transmit=stamp(946_684_799 * S)), 41_000_000),
        (ntp.RANGE, answered(transmit=0), 41_000_000),
    ],
)
def test_each_rule_leaves_its_answers_alone(reason, data, round_trip_ns):
    with pytest.raises(AnswerIgnored) as told:
        taken(data, round_trip_ns)
    assert told.value.reason == reason and str(told.value)


@pytest.mark.parametrize(
    "changed", [{"version": 4}, {"version": 7}, {"leap": 1}, {"leap": 2}, {"stratum": 15}]
)
def test_what_no_rule_forbids_counts(changed):
    assert taken(answered(**changed)).utc_ns


def test_nine_seconds_count_and_no_nanosecond_more():
    assert taken(answered(), 9 * S).bound_ns > 4 * S


@given(st.binary(max_size=60))
def test_any_bytes_are_a_sample_or_ignored_with_a_reason(data):
    reason = None
    try:
        taken(data)
    except AnswerIgnored as ignored:
        reason = ignored.reason
    assert reason is None or reason in REASONS


def test_a_server_that_is_not_synchronised_says_so():
    data = answer(request(RANDOM), NOW, NOW, Upstream(synchronised_ns=None))
    assert Packet.decode(data).leap == 3
    with pytest.raises(AnswerIgnored, match="not synchronised"):
        taken(data)


@pytest.mark.parametrize(
    "data",
    [b"", bytes(47), bytes(49), Packet(mode=4).encode(), Packet(version=3).encode(), bytes(48)],
)
def test_a_server_ignores_what_is_no_request(data):
    with pytest.raises(RequestIgnored):
        answer(data, NOW, NOW, UPSTREAM)
