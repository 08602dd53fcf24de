"""Registers of a simulated meter: cut like a counter, monotone, and the bytes of the standard."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.errors import BadInput
from clsbench.meters.catalogue import Register, load, models
from clsbench.meters.load import Reading
from clsbench.meters.registers import (
    MeterValues,
    RegisterBank,
    encode_raw,
    encode_register,
    register_raw,
)

ENERGY = st.integers(0, 10**13)


def register(obis, kind, unit, resolution, address=0, function=4):
    return Register(
        obis=obis, type=kind, unit=unit, resolution=resolution, address=address, function=function
    )


IMPORT = register("1-0:1.8.0", "f32", "kWh", -2)


def values(energy_w_ms=0, power_w=0, start_wh=0, phases=3):
    return MeterValues(Reading(1_777_882_500_123, energy_w_ms, power_w), start_wh, phases)


def test_energy_is_cut_not_rounded():
    almost = values(energy_w_ms=10 * 3_600_000 - 1, start_wh=1_234_560)
    assert almost.import_wh_raw(0) == 1_234_569
    assert almost.import_wh_raw(1) == 123_456
    assert almost.import_wh_raw(-1) == 12_345_699
    assert values(energy_w_ms=10 * 3_600_000, start_wh=1_234_560).import_wh_raw(1) == 123_457


@settings(max_examples=80, deadline=None)
@given(st.lists(ENERGY, min_size=2, max_size=6), st.integers(-3, 3), st.integers(0, 10**8))
def test_energy_register_never_runs_backwards(energies, scaler, start_wh):
    raws = [values(e, start_wh=start_wh).import_wh_raw(scaler) for e in sorted(energies)]
    assert raws == sorted(raws)
    for raw, energy in zip(raws, sorted(energies)):
        exact_w_ms = start_wh * 3_600_000 + energy
        step = 3_600_000 * 10 ** (scaler + 3)
        assert raw * step <= exact_w_ms * 1000 < (raw + 1) * step


@settings(max_examples=80, deadline=None)
@given(ENERGY, st.integers(0, 30_000))
def test_phases_add_up_to_the_whole(energy, power_w):
    meter = values(energy, power_w)
    assert sum(meter.power_w(phase) for phase in range(3)) == power_w
    assert sum(meter.import_wh(phase) for phase in range(3)) == meter.import_wh()


def test_phase_quantities_of_a_six_kilowatt_rod():
    meter = values(power_w=6000)
    assert [meter.quantity(f"1-0:{c}.7.0") for c in (36, 56, 76)] == [2000, 2000, 2000]
    assert [meter.voltage_mv(phase) for phase in range(3)] == [229_096, 228_396, 228_796]
    assert [meter.current_ma(phase) for phase in range(3)] == [8729, 8756, 8741]
    assert meter.quantity("1-0:16.7.0*255") == meter.quantity("1-0:9.7.0") == 6000
    assert meter.quantity("1-0:2.8.0") == meter.quantity("1-0:62.8.0") == 0
    assert meter.quantity("1-0:13.7.0") == 1
    assert 49.98 <= meter.quantity("1-0:14.7.0") <= 50.02


def test_a_single_phase_meter_carries_all_on_the_first_phase():
    meter = values(power_w=2300, phases=1)
    assert [meter.power_w(phase) for phase in range(3)] == [2300, 0, 0]
    assert meter.current_ma(1) == 0


def test_float_register_holds_the_value_cut_to_the_resolution():
    meter = values(energy_w_ms=3_600_000 * 19, start_wh=1_234_560)
    assert register_raw(IMPORT, meter) == 123_457
    assert encode_register(IMPORT, meter) == bytes.fromhex("449a523d")  # 1234.57 as binary32
    assert encode_register(IMPORT, meter, "little") == bytes.fromhex("523d449a")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 8_388_607))
def test_a_hundredth_of_a_kilowatt_hour_survives_binary32(raw):
    (value,) = struct.unpack(">f", encode_raw("f32", raw, -2))
    assert round(value * 100) == raw


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        ("u16", 0xFFFE, "fffe"),
        ("i16", -2, "fffe"),
        ("u32", 12_345_678, "00bc614e"),
        ("i32", -1, "ffffffff"),
        ("u64", 1, "0000000000000001"),
        ("i64", -2, "fffffffffffffffe"),
    ],
)
def test_integer_registers(kind, raw, expected):
    assert encode_raw(kind, raw).hex() == expected


def test_integer_register_counts_its_resolution():
    meter = values(energy_w_ms=3_600_000 * 7, start_wh=1_000)
    entry = register("1-0:1.8.0", "u32", "Wh", 1)
    assert encode_register(entry, meter) == (100).to_bytes(4, "big")


def test_power_follows_the_reading():
    entry = register("1-0:16.7.0", "f32", "W", -1)
    seen = [encode_register(entry, values(power_w=p)) for p in (0, 6000, 6240)]
    assert seen == [struct.pack(">f", p) for p in (0.0, 6000.0, 6240.0)]
    assert all(a < b for a, b in pairwise(seen))


def bank(**options):
    registers = [
        register("1-0:16.7.0", "f32", "W", -1, 0x34),
        register("1-0:1.8.0", "f32", "kWh", -2, 0x48),
        register("1-0:21.8.0", "f32", "kWh", -2, 0x15A),
    ]
    return RegisterBank(registers, **{"max_registers": 80, "max_gap": 34, **options})


def test_bank_gives_registers_in_place_and_zero_between_them():
    meter = values(energy_w_ms=3_600_000 * 1000, power_w=6000)
    data = bank().read(4, 0x34, 0x16, meter)
    assert data == struct.pack(">f", 6000) + bytes(36) + struct.pack(">f", 1.0)
    assert bank().read(4, 0x49, 1, meter) == struct.pack(">f", 1.0)[2:]
    assert bank(word_order="little").read(4, 0x48, 2, meter) == bytes.fromhex("00003f80")


@pytest.mark.parametrize(
    ("function", "address", "count", "code"),
    [
        (4, 0x32, 2, 2),  # before the first register
        (4, 0x48, 3, 2),  # behind the last of a group
        (4, 0x4A, 2, 2),
        (4, 0x48, 80, 2),  # the gap to the next group is wider than a read
        (4, 0xFFFF, 2, 2),
        (3, 0x48, 2, 1),  # this meter has no holding registers
        (4, 0x48, 0, 3),
        (4, 0x34, 81, 3),
        (1, 0x48, 2, 1),
        (6, 0x48, 1, 1),
    ],
)
def test_bank_refuses_with_the_code_of_the_standard(function, address, count, code):
    assert bank().read(function, address, count, values()) == code


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (register("1-0:99.9.0", "f32", "W", 0), "no quantity"),
        (register("1-0:1.8.0", "u16", "Wh", 0), "does not fit"),
    ],
)
def test_what_cannot_be_served_is_named(entry, text):
    with pytest.raises(BadInput, match=text):
        encode_register(entry, values(start_wh=10**6))


@pytest.mark.parametrize("model", models())
def test_every_meter_of_the_catalogue_can_be_simulated(model):
    meter = load(model)
    now = values(3_600_000 * 123_456, 4321, 5_000_000, meter.phases)
    served = RegisterBank(meter.registers, 125, meter.bus.max_gap, meter.bus.word_order)
    for entry in meter.registers:
        data = served.read(entry.function, entry.address, entry.words, now)
        assert data == encode_register(entry, now, meter.bus.word_order)
