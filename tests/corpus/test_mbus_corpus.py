"""The device's M-Bus reader against real telegrams.

The folder of telegrams is no part of the repository. Every item holds what independent decoders
read from it. What two of them agree on must be equal, and no broken frame may give a record.
"""

import json
import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

from clsbench.cli.captures import hex_tokens
from clsbench.hil.interpreter import find_micropython
from clsbench.meters import mbus_document, mbus_text
from clsbench.paths import firmware_dir

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("CLSBENCH_CORPUS", ROOT.parent / "shared" / "corpus")) / "mbus"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not NAMES, reason=f"no telegrams in {FOLDER} (set CLSBENCH_CORPUS)"),
]


@cache
def expectation(item):
    return json.loads((FOLDER / f"{item}.json").read_text())


READ = [name for name in NAMES if expectation(name)["group"] == "test-frames"]
REFUSED = [name for name in NAMES if name not in READ]


def capture(item):
    raw = FOLDER / f"{item}.blob"
    return raw.read_bytes() if raw.exists() else hex_tokens((FOLDER / f"{item}.hex").read_bytes())


def on_cpython(data):
    return mbus_document.document(data)


def on_micropython(data):
    done = subprocess.run(
        [str(find_micropython()), mbus_document.__file__],
        input=data,
        capture_output=True,
        check=True,
        env={"MICROPYPATH": str(firmware_dir())},
    )
    return json.loads(done.stdout)


def mended(text):
    """Some expectations hold UTF-8 that was read as Latin-1."""
    try:
        return text.encode("latin-1").decode()
    except (AttributeError, UnicodeError):
        return text


def wanted_record(record):
    """What must be equal; words are left out for codes younger than libmbus's tables."""
    keys = ["function", "storage", "tariff", "device", "value"]
    if record["quantity"] != "Reserved":
        keys += ["unit", "quantity"]
    return {key: mended(record[key]) for key in keys}


@pytest.mark.parametrize("reader", [on_cpython, on_micropython])
@pytest.mark.parametrize("item", READ)
def test_device_reads_every_record_that_two_decoders_agree_on(item, reader):
    found = mbus_text.readable(reader(capture(item)))
    assert found["discarded"] == {}
    (frame,) = found["frames"]
    want = expectation(item)
    assert frame["valid"] and frame["error"] is None
    header = {key: mended(value) for key, value in want["header"].items() if key != "ProductName"}
    assert frame["header"] == header
    assert len(frame["records"]) == len(want["records"])
    for record, wanted in zip(frame["records"], want["records"]):
        if wanted["agreed_by"]:
            assert {key: record[key] for key in wanted_record(wanted)} == wanted_record(wanted)
        if wanted.get("dib") is not None:
            bytes_of = (record["dib"], record["vib"], record["data"])
            assert bytes_of == (wanted["dib"], wanted["vib"], wanted["data_hex"])
    if want["agreed"]:
        assert all(record["value"] is not None for record in frame["records"])


@pytest.mark.parametrize("reader", [on_cpython, on_micropython])
@pytest.mark.parametrize("item", REFUSED)
def test_device_refuses_every_broken_frame_with_one_event_and_no_record(item, reader):
    (frame,) = mbus_text.readable(reader(capture(item)))["frames"]
    assert not frame["valid"] and frame["error"] and frame["records"] == []
    wanted = expectation(item).get("application_error")
    assert frame["application_error"] == mended(wanted)
