"""The device's wireless M-Bus reader against real telegrams.

The folder of telegrams is no part of the repository. Every item holds the published result of a
driver (figures in units of its own choice) and the records of an independent decoder.
"""

import json
import os
import subprocess
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from clsbench.hil.interpreter import find_micropython
from clsbench.meters import mbus_text, wmbus_document
from clsbench.paths import firmware_dir
from dicamm.proto.wmbus_link import frame_a, frame_b

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("CLSBENCH_CORPUS", ROOT.parent / "shared" / "corpus")) / "wmbus"
ITEMS = sorted(path.stem for path in FOLDER.glob("*.json"))

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not ITEMS, reason=f"no telegrams in {FOLDER} (set CLSBENCH_CORPUS)"),
]

# by the end of a figure's name: our unit, and what one of the driver's units is in it
UNITS = {
    "_kwh": (
        ("Wh", Decimal(1000)),
        ("J", Decimal(3600000)),
        ("", Decimal(1)),  # codes of the maker, in kWh or MJ
        ("", Decimal("3.6")),
    ),
    "_kw": (("W", Decimal(1000)),),
    "_m3": (("m^3", Decimal(1)),),
    "_m3h": (("m^3/h", Decimal(1)),),
    "_c": (("°C", Decimal(1)),),
    "_hca": (("Units for H.C.A.", Decimal(1)),),
    "_rh": (("%", Decimal(1)),),
    "_h": (("s", Decimal(3600)),),
    "_int": (("", Decimal(1)),),
    "_remaining": (("s", Decimal(86400)),),
}


@cache
def expectation(item):
    return json.loads((FOLDER / f"{item}.json").read_text())


def telegram(item):
    return bytes.fromhex((FOLDER / f"{item}.hex").read_text())


def key(item):
    text = expectation(item)["key"]
    return bytes.fromhex(text) if text else None


def on_cpython(data, secret):
    return wmbus_document.document([data], secret)


def on_micropython(data, secret):
    done = subprocess.run(
        [str(find_micropython()), wmbus_document.__file__],
        input=wmbus_document.packed([data], secret or b""),
        capture_output=True,
        check=True,
        env={"MICROPYPATH": str(firmware_dir())},
    )
    return json.loads(done.stdout)


def read(item, reader):
    (frame,) = mbus_text.readable_wireless(reader(telegram(item), key(item)))["frames"]
    assert frame["valid"] and frame["error"] is None
    return frame


def figures(records):
    """(unit, value) of every record, members of compact profiles included."""
    for record in records:
        profile = record["profile"]
        for value in [record["value"]] if profile is None else profile["values"]:
            try:
                yield record["unit"], Decimal(value)
            except ArithmeticError:
                continue  # a date or a text


def told(figure, value, records):
    units = next(units for end, units in UNITS.items() if figure.endswith(end))
    return any(
        unit == ours and abs(found / factor - Decimal(str(value))) <= Decimal("0.000001")
        for ours, factor in units
        for unit, found in figures(records)
    )


@pytest.mark.parametrize("reader", [on_cpython, on_micropython])
@pytest.mark.parametrize("item", ITEMS)
def test_device_reads_every_figure_that_a_second_decoder_confirms(item, reader):
    frame = read(item, reader)
    want = expectation(item)
    assert frame["header"]["Id"] == want["expected"]["id"]
    for figure in want["numbers_confirmed"]:
        value = want["expected"][figure]
        if value:  # 0 is also what the driver says of a figure that was not sent
            assert told(figure, value, frame["records"]), figure


@pytest.mark.parametrize("reader", [on_cpython, on_micropython])
@pytest.mark.parametrize("item", ITEMS)
def test_device_cuts_the_records_where_a_second_decoder_does(item, reader):
    wanted = expectation(item)["m-bus-parser"].get("records")
    found = read(item, reader)["records"]
    if not wanted:
        assert found  # the second decoder gave up
        return
    assert len(found) == len(wanted)
    for record, want in zip(found, wanted):
        assert record["dib"] + record["vib"] == want["header_hex"].replace(" ", "").lower()
        assert record["data"] == want["data_hex"].replace(" ", "").lower()
        assert record["function"] == want["function"]
        numbers = [int(record[key] or 0) for key in ("storage", "tariff", "device")]
        assert numbers == [want[key] for key in ("storage_number", "tariff", "subunit")]
        if want["value"]["kind"] == "decimal":
            exact = Decimal(record["raw"]).scaleb(record["scaler"])
            assert exact == Decimal(want["value"]["value"])


@pytest.mark.parametrize("item", ITEMS)
def test_checksums_of_either_format_change_nothing_and_a_lost_bit_is_seen(item):
    want = expectation(item)
    if not want["length_field_ok"]:
        return  # its checksums would stand elsewhere
    plain = telegram(item)
    bare = wmbus_document.document([plain], key(item))["frames"][0]["records"]
    for build, form in ((frame_a, "a"), (frame_b, "b")):
        data = bytearray(build(plain))
        (frame,) = wmbus_document.document([bytes(data)], key(item))["frames"]
        assert (frame["link"]["form"], frame["records"]) == (form, bare)
        data[len(data) // 2] ^= 1
        spoilt = wmbus_document.document([bytes(data)], key(item))["frames"]
        if form == "a":
            assert not any(frame["valid"] for frame in spoilt)
