"""The device's SML reader and the second reader against real telegrams.

The folder of telegrams is no part of the repository. Every item holds what independent
decoders read from it; messages with a wrong checksum of their own must be refused.
"""

import json
import os
import random
import subprocess
from functools import cache
from pathlib import Path

import pytest

from clsbench.hil.interpreter import find_micropython
from clsbench.meters import sml_document
from clsbench.meters.sml_encode import frame as transport_frame
from clsbench.meters.sml_quirk_words import QUIRKS
from clsbench.meters.sml_second_reader import frames, payload_frame
from clsbench.paths import firmware_dir

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("CLSBENCH_CORPUS", ROOT.parent / "shared" / "corpus")) / "sml"
ITEMS = sorted(path.stem for path in FOLDER.glob("*.json"))

ESCAPE = b"\x1b\x1b\x1b\x1b"

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not ITEMS, reason=f"no telegrams in {FOLDER} (set CLSBENCH_CORPUS)"),
]


@cache
def expectation(item):
    return json.loads((FOLDER / f"{item}.json").read_text())


def capture(item):
    return (FOLDER / f"{item}.bin").read_bytes()


def valid_frames(item):
    return [frame for frame in expectation(item)["frames"] if frame["valid"]]


def wanted_entries(frame):
    """Entries of a frame; none where the list's own checksum is wrong."""
    refused = any(m["tag"] == "0701" and m["crc"] == "bad" for m in frame["messages"])
    return [] if refused else frame["entries"]


def numbers(entry):
    """What must be equal in every reader's result."""
    return {
        "status": entry["status"],
        "val_time": entry["val_time"],
        "unit": entry["unit"],
        "scaler": entry["scaler"] or 0,
        "raw": entry.get("raw_corrected", entry["raw"]),
    }


def on_cpython(data):
    return sml_document.document(data)


def on_micropython(data):
    done = subprocess.run(
        [str(find_micropython()), sml_document.__file__],
        input=data,
        capture_output=True,
        check=True,
        env={"MICROPYPATH": str(firmware_dir())},
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("reader", [on_cpython, on_micropython])
@pytest.mark.parametrize("item", ITEMS)
def test_device_reads_every_valid_frame_and_entry(item, reader):
    found = [frame for frame in reader(capture(item))["frames"] if frame["valid"]]
    wanted = valid_frames(item)
    assert len(found) == len(wanted)
    for frame, want in zip(found, wanted):
        same = ("offset", "length", "server_id") if wanted_entries(want) else ("offset", "length")
        assert [frame[key] for key in same] == [want[key] for key in same]
        assert frame["crc"] == want.get("crc")
        assert [device_entry(entry) for entry in frame["entries"]] == [
            wanted_device_entry(entry) for entry in wanted_entries(want)
        ]
        if wanted_entries(want):
            assert frame["sensor_time"] == want["act_sensor_time"]
        assert frame["refused"] == sum(m["crc"] == "bad" for m in want["messages"])


def device_entry(entry):
    keys = ("obis", "scaler", "value", "text", "raw_sent")
    return {**numbers(entry), **{key: entry[key] for key in keys}}


def wanted_device_entry(entry):
    return {
        **numbers(entry),
        "obis": entry["obis"],
        "scaler": entry["scaler"],
        "value": entry.get("value_corrected", entry.get("value")),
        "text": entry.get("text"),
        "raw_sent": entry["raw"],
    }


@pytest.mark.parametrize("reader", [on_cpython, on_micropython])
@pytest.mark.parametrize("item", ITEMS)
def test_device_names_every_broken_frame_where_it_is(item, reader):
    found = [frame for frame in reader(capture(item))["frames"] if not frame["valid"]]
    wanted = [frame for frame in expectation(item)["frames"] if not frame["valid"]]
    assert [(frame["offset"], frame["length"]) for frame in found] == [
        (frame["offset"], frame["length"]) for frame in wanted
    ]


@pytest.mark.parametrize("item", ITEMS)
def test_second_reader_reads_the_same(item):
    wanted = valid_frames(item)
    data = capture(item)
    bare = bool(wanted) and wanted[0]["kind"] == "payload"
    found = [payload_frame(data)] if bare else frames(data)
    assert len(found) == len(wanted)
    for frame, want in zip(found, wanted):
        same = ("offset", "length")
        assert [frame[key] for key in same] == [want[key] for key in same]
        assert frame["crc"] == want.get("crc")
        if wanted_entries(want):
            assert frame["server_id"] == want["server_id"]
        assert [(entry["obis"], numbers(entry)) for entry in frame["entries"]] == [
            (entry["obis_hex"], numbers(entry)) for entry in wanted_entries(want)
        ]


@pytest.mark.parametrize("item", ITEMS)
def test_changed_bytes_of_a_real_telegram_never_give_another_reading(item):
    data, whole = capture(item), [frame for frame in valid_frames(item) if frame.get("crc")]
    chooser = random.Random(item)
    for frame in whole[:1]:
        good = data[frame["offset"] :][: frame["length"]]
        (known,) = on_cpython(good)["frames"]
        for _ in range(60):
            bad = bytearray(good)
            for _ in range(chooser.randrange(1, 4)):
                bad[chooser.randrange(len(bad))] ^= chooser.randrange(1, 256)
            for found in on_cpython(bytes(bad))["frames"]:
                assert found["entries"] in ([], known["entries"])
            payload = bytes(bad[8:-8]).replace(ESCAPE * 2, ESCAPE)
            for found in on_cpython(transport_frame(payload))["frames"]:  # its checksum made good
                assert found["entries"] in ([], known["entries"])


@pytest.mark.parametrize("item", ITEMS)
def test_quirks_of_a_meter_are_visible_in_its_readings(item):
    shown = list(on_cpython(capture(item))["frames"])
    shown += [entry for frame in shown for entry in frame["entries"]]
    found = {quirk for part in shown for quirk in part["quirks"]}
    assert found == set(QUIRKS) & set(expectation(item)["quirks"])


NO_PIN = (
    "HOLLEY_DTZ541-BDBA_without_PIN",
    "ISKRA_MT631-D2A51-V22-K0z_without_PIN",
    "eBZ_DD3_DD32R06DTA-SMZ1",
)


@pytest.mark.parametrize("item", ITEMS)
def test_only_meters_without_pin_are_told_to_miss_it(item):
    found = {entry["finding"] for entry in on_cpython(capture(item)).get("diagnosis", [])}
    assert ("pin missing" in found) == (item in NO_PIN)
    kinds = expectation(item)["counts"]["by_kind"]
    assert ("bad checksums" in found) == bool(kinds.get("frame_bad_crc"))
