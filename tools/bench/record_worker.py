"""From a reply of the meter to a durable record, step by step, in MicroPython; JSON on stdout.

    micropython record_worker.py ROUNDS BLOCK

Flash is memory that obeys the rules of the port: what a chip takes to program a page is not in
the figures. sys.path has the firmware as a board gets it.
"""

import gc
import json
import sys
import time
from hashlib import sha256

from dicamm.metering import record
from dicamm.metering.meter import MeterProfile
from dicamm.metering.reading import Reading
from dicamm.proto.cose import HmacSha256, Mac0
from dicamm.proto.crc import crc16_modbus
from dicamm.proto.modbus import RtuClient
from dicamm.store.journal import Journal

IDENTITY = ("ETST0020000017", "1EAS0012345678")
IMPORT = b"\x01\x00\x01\x08\x00\xff"
PROFILE = {"model": "bench", "registers": [["0100010800ff", 72, 4, "f32", 0, 30, 1, 3]]}
TEXT = "Abruf 2026-11-22 Pool 7 Los 37"
NOW_MS = 1795000000000
SECTORS = 64


class Memory:
    """A flash region that costs nothing but the copying."""

    SECTOR = 4096
    PAGE = 256

    def __init__(self):
        self.sectors = SECTORS
        self.data = bytearray(b"\xff" * ((SECTORS + 1) * 4096))  # one to measure the port with

    def read(self, sector, offset, buffer):
        address = sector * 4096 + offset
        buffer[:] = memoryview(self.data)[address : address + len(buffer)]

    def program(self, sector, offset, page):
        address = sector * 4096 + offset
        self.data[address : address + 256] = page

    def erase(self, sector):
        self.data[sector * 4096 : sector * 4096 + 4096] = b"\xff" * 4096


class Path:
    """One record after the other: the steps between a request and a record on flash."""

    def __init__(self):
        self.client = RtuClient()
        self.profile = MeterProfile(PROFILE)
        self.mac0 = Mac0(bytes(range(32)), b"ETST0020000017")
        self.memory = Memory()
        self.journal = Journal(self.memory, erase_inline=False)
        self.previous = bytes(8)
        self.reading = None
        self.payload = b""
        self.sealed = b""
        reply = bytearray(b"\x01\x04\x04\x44\x9a\x51\xec\x00\x00")
        crc = crc16_modbus(reply, 0, 7)
        reply[7], reply[8] = crc & 0xFF, crc >> 8
        self.reply = bytes(reply)
        self.uuid = bytes(range(16))

    def read(self):
        """Request made, reply checked, registers turned into values."""
        client = self.client
        client.read(1, 4, 72, 2)
        client.feed(self.reply)
        values = self.profile.decode(4, 72, client.payload)
        self.reading = Reading(values, NOW_MS + self.journal.newest, 5000, 0, 1, 40)

    def build(self):
        """The payload."""
        seq = self.journal.newest + 1
        self.payload = record.encode(
            seq, 16, IDENTITY, self.reading, self.previous, self.uuid, 1, TEXT, NOW_MS
        )

    def seal(self):
        """Seal."""
        self.sealed = self.mac0.seal(self.payload)

    def program(self):
        """Into the journal; durable after it."""
        self.journal.append(self.journal.newest + 1, 16, self.sealed)

    def link(self):
        """For the next record."""
        self.previous = self.journal.link()

    def between(self):
        """What is done while nothing waits."""
        self.journal.acknowledge(self.journal.newest)
        self.journal.erase_ahead()


def main(rounds, block):
    """Prints step -> ns per record of each round; mac, passes: an HMAC, and what none can save."""
    path = Path()
    names = ("read", "build", "seal", "program", "link")
    steps = [(name, getattr(path, name)) for name in names]
    found = {name: [] for name in names + ("port", "mac", "passes", "clock")}
    hmac = HmacSha256(bytes(range(32)))
    for _ in range(40):
        for _, step in steps:
            step()
        path.between()
    for _ in range(rounds):
        spent = dict.fromkeys(names, 0)
        gc.collect()
        for _ in range(block):
            for name, step in steps:
                begin = time.ticks_us()
                step()
                spent[name] += time.ticks_diff(time.ticks_us(), begin)
            path.between()
        for name in names:
            found[name].append(spent[name] * 1000 // block)
        found["port"].append(port_ns(path.memory, block))
        found["mac"].append(timed(hmac.mac, path.payload, block))
        found["passes"].append(timed(passes, path.payload, block))
        found["clock"].append(clock_ns(block))
    found["size"] = len(path.sealed)
    found["plain"] = path.journal.plain
    print(json.dumps(found))


def timed(run, payload, block):
    """ns per run."""
    begin = time.ticks_us()
    for _ in range(block):
        run(payload)
    return time.ticks_diff(time.ticks_us(), begin) * 1000 // block


def port_ns(memory, block):
    """What the flash of memory itself takes of a record: a page programmed, and read back."""
    page = memoryview(bytearray(256))
    program = memory.program
    read = memory.read
    spent = 0
    for _ in range(block):
        begin = time.ticks_us()
        program(SECTORS, 0, page)
        read(SECTORS, 0, page)
        spent += time.ticks_diff(time.ticks_us(), begin)
    return spent * 1000 // block


def passes(payload, pad=bytes(64), digest=bytes(32)):
    """The two SHA-256 passes that no HMAC goes without, with nothing around them."""
    inner = sha256(pad)
    inner.update(payload)
    inner.digest()
    outer = sha256(pad)
    outer.update(digest)
    return outer.digest()


def clock_ns(block):
    """What looking at the clock costs."""
    spent = 0
    for _ in range(block):
        begin = time.ticks_us()
        nothing()
        spent += time.ticks_diff(time.ticks_us(), begin)
    return spent * 1000 // block


def nothing():
    """Stands for a step."""


main(int(sys.argv[1]), int(sys.argv[2]))
