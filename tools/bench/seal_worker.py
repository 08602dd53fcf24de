"""Seal and signature in MicroPython: times against the plain hash and plain arithmetic, as JSON.

    micropython seal_worker.py ROUNDS    times
    micropython seal_worker.py load      imports the signature only
    micropython seal_worker.py sign      imports it and signs once

sys.path has the firmware as a board gets it.
"""

import json
import sys
import time
from hashlib import sha256

from dicamm.proto import p256
from dicamm.proto.cose import HmacSha256

RECORD = bytes(200)
PAD = bytes(64)
KEY = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
HASHES = 200


def two_passes():
    """What an HMAC cannot do without: its two runs of SHA-256."""
    inner = sha256(PAD)
    inner.update(RECORD)
    outer = sha256(PAD)
    outer.update(inner.digest())
    return outer.digest()


def pads_each_time():
    """An HMAC as it is commonly written."""
    key = bytes(32) + bytes(32)
    inner = sha256(bytes([byte ^ 0x36 for byte in key]))
    inner.update(RECORD)
    outer = sha256(bytes([byte ^ 0x5C for byte in key]))
    outer.update(inner.digest())
    return outer.digest()


def double_and_add(factor, point):
    """factor * G bit by bit, with the same formulas; stands in for `p256.multiply_steps`."""
    x, y, z = 0, 0, 0
    for bit in range(255, -1, -1):
        yield
        if z:
            x, y, z = p256._double(x, y, z)
        if factor >> bit & 1:
            x, y, z = p256._add(x, y, z, 0)
    z = p256.inverse(z, p256.P)
    zz = z * z % p256.P
    point.append(x * zz % p256.P)
    point.append(y * zz * z % p256.P)


def plain_sign(secret, message):
    """A signature by double-and-add; all else as in `p256.sign`."""
    kept = p256.multiply_steps
    p256.multiply_steps = double_and_add
    signature = p256.sign(secret, message)
    p256.multiply_steps = kept
    return signature


def spent(step, times):
    begin = time.ticks_us()
    for _ in range(times):
        step()
    return time.ticks_diff(time.ticks_us(), begin) * 1000 // times


def main(rounds):
    hmac = HmacSha256(bytes(32))
    assert plain_sign(KEY, RECORD) == p256.sign(KEY, RECORD)
    steps = {
        "passes": (two_passes, HASHES),
        "hmac": (lambda: hmac.mac(RECORD), HASHES),
        "common": (pads_each_time, HASHES),
        "sign": (lambda: p256.sign(KEY, RECORD), 1),
        "plain": (lambda: plain_sign(KEY, RECORD), 1),
    }
    found = {name: [] for name in steps}
    for _ in range(rounds):
        for name in steps:
            found[name].append(spent(*steps[name]))
    print(json.dumps(found))


if sys.argv[1] == "sign":
    p256.sign(KEY, RECORD)
elif sys.argv[1] != "load":
    main(int(sys.argv[1]))
