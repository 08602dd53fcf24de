"""The device's M-Bus reader and the simulated meter against pyMeterBus and `cryptography`.

pyMeterBus runs in a process of its own and reads the same bytes.
"""

import json
import os
import random
import subprocess
import sys
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from clsbench.meters import mbus_document, mbus_text
from clsbench.meters.aes import Aes
from clsbench.meters.mbus_encode import (
    bcd,
    integer,
    long_frame,
    secondary_address,
    telegram,
    value_information,
)
from dicamm.proto.aes_cmac import cmac
from dicamm.proto.wmbus import WmbusTelegram
from dicamm.proto.wmbus_link import read_link

ADDRESS = secondary_address("12345678", "ELS", 51, 2)
FUNCTIONS = ("instantaneous", "maximum", "minimum", "error")
# DLMS units the simulated meter has codes for, with their powers of ten
VIFS = [
    (unit, scaler)
    for unit, low, count in (
        (30, -3, 8),
        (25, 0, 8),
        (13, -6, 8),
        (27, -3, 8),
        (15, -6, 8),
        (9, -3, 4),
        (52, -3, 4),
    )
    for scaler in range(low, low + count)
]

READ = """
import json, sys, meterbus
found = []
for line in sys.stdin:
    frame = meterbus.load(bytes.fromhex(line))
    found.append([
        [str(i["value"]), i["function"], i["storage_number"], i.get("tariff"), i.get("device")]
        for i in [record.interpreted for record in frame.records]
    ])
print(json.dumps(found))
"""


def read_by_pymeterbus(frames):
    done = subprocess.run(
        [sys.executable, "-c", READ],
        input="\n".join(frame.hex() for frame in frames),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read_by_device(frame):
    (found,) = mbus_text.readable(mbus_document.document(frame))["frames"]
    assert found["valid"]
    return found["records"]


def a_frame(rng):
    records = b""
    for _ in range(rng.randrange(1, 7)):
        unit, scaler = rng.choice(VIFS)
        vib = value_information(unit, scaler)
        where = {
            "function": rng.choice(FUNCTIONS),
            "storage": rng.choice([0, 0, 1, 2, 33, 4000]),
            "tariff": rng.choice([0, 0, 1, 9]),
            "device": rng.choice([0, 0, 1, 2]),
        }
        if rng.random() < 0.5:
            size = rng.choice([1, 2, 3, 4, 6, 8])
            number = rng.randrange(-(1 << 8 * size - 1), 1 << 8 * size - 1)
            records += integer(number, size, vib, **where)
        else:
            size = rng.choice([1, 2, 3, 4, 6])
            records += bcd(rng.randrange(10 ** (2 * size)), size, vib, **where)
    return long_frame(0x08, 5, telegram(ADDRESS, records))


def test_pymeterbus_reads_what_the_simulated_meter_sends_as_the_device_does():
    rng = random.Random(13757)
    # 44h as length: pyMeterBus takes the frame for a wireless telegram
    frames = [frame for frame in (a_frame(rng) for _ in range(60)) if frame[1] != 0x44]
    assert len(frames) > 50
    for frame, theirs in zip(frames, read_by_pymeterbus(frames)):
        ours = read_by_device(frame)
        assert len(ours) == len(theirs)
        for mine, (value, function, storage, tariff, device) in zip(ours, theirs):
            exact = Decimal(mine["raw"]).scaleb(mine["scaler"])
            assert abs(exact - Decimal(value)) <= abs(exact) * Decimal("1e-12")  # it uses floats
            numbers = [int(mine[key] or 0) for key in ("storage", "tariff", "device")]
            assert numbers == [storage, tariff or 0, device or 0]
            told = function.split(".")[1].replace("_", " ").capitalize()
            assert mine["function"] == told or told == "Error state value"


@pytest.mark.parametrize("size", [*range(34), 63, 64, 65, 255])
def test_cmac_is_that_of_cryptography(size):
    key, data = os.urandom(16), os.urandom(size)
    theirs = CMAC(AES(key))
    theirs.update(data)
    assert cmac(Aes(), key, data) == theirs.finalize()


def derived(key, use, counter, identification):
    theirs = CMAC(AES(key))
    theirs.update(bytes([use]) + counter + identification + b"\x07" * 7)
    return theirs.finalize()


HEAD = bytes.fromhex("44 9315 78563412 33 03")


def sealed_by_cryptography(key, counter, records):
    """A telegram of profile B, made with `cryptography` alone."""
    plain = b"\x2f\x2f" + records
    plain += b"\x2f" * (-len(plain) % 16)
    number = counter.to_bytes(4, "little")
    encrypted = Aes().encrypt_cbc(derived(key, 0, number, HEAD[3:7]), bytes(16), plain)
    config = (0x0700 | len(plain) // 16 << 4).to_bytes(2, "little")
    message = b"\x7a\x75\x00" + config + b"\x10" + encrypted
    mac = CMAC(AES(derived(key, 1, number, HEAD[3:7])))
    mac.update(b"\x25" + number + message)
    body = HEAD + b"\x90\x0f\x00\x2c\x25" + number + mac.finalize()[:8] + message
    return bytes([len(body)]) + body


def values(found):
    records = found.records()
    assert records is not None, found.error
    out = []
    while records.next():
        out.append(records.raw())
    return out


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_device_opens_what_cryptography_sealed(count):
    key = os.urandom(16)
    numbers = [random.randrange(2**31) for _ in range(count)]
    records = b"".join(integer(number, 4, b"\x03") for number in numbers)
    data = sealed_by_cryptography(key, 0xFFFFFFFE, records)
    link, _ = read_link(data)
    assert link is not None
    found = WmbusTelegram(link, Aes(), key, 0xFFFFFFFD)
    assert found.authentic and values(found) == numbers
    assert WmbusTelegram(link, Aes(), key, 0xFFFFFFFE).error == "counter"


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_device_decrypts_mode_5_of_cryptography(count):
    key = os.urandom(16)
    numbers = [random.randrange(2**31) for _ in range(count)]
    plain = b"\x2f\x2f" + b"".join(integer(number, 4, b"\x03") for number in numbers)
    plain += b"\x2f" * (-len(plain) % 16)
    encrypted = Aes().encrypt_cbc(key, HEAD[1:] + b"\x75" * 8, plain)
    config = (0x0500 | len(plain) // 16 << 4).to_bytes(2, "little")
    body = HEAD + b"\x7a\x75\x00" + config + encrypted
    link, _ = read_link(bytes([len(body)]) + body)
    assert link is not None
    assert values(WmbusTelegram(link, Aes(), key)) == numbers
