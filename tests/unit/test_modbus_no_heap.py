"""A Modbus transaction takes nothing from MicroPython's heap once its sizes have been seen."""

import subprocess

import pytest

from clsbench.hil.interpreter import find_micropython
from clsbench.paths import firmware_dir

SCRIPT = """
import gc, micropython, sys
sys.path.insert(0, {firmware!r})
if {bytecode!r}:  # modules without the names that are looked for in them
    for name in ("crc_viper", "modbus_viper"):
        sys.modules["dicamm.proto." + name] = sys
from dicamm.proto import modbus_loops
assert modbus_loops.VIPER != {bytecode!r}
from dicamm.proto.crc import crc16_modbus
from dicamm.proto.modbus import RtuClient
from dicamm.proto.modbus_pdu import DONE, FAILED

GOOD = bytes.fromhex("01040443A800006FE0")
REFUSED = bytes.fromhex("018402C2C1")
REQUEST = bytes.fromhex("010400480002F1DD")
FOREIGN = bytes.fromhex("01030443A800006E57")
BROKEN = bytes.fromhex("01040443A900006FE0")
LONG = bytearray(b"\\x01\\x04\\xa0" + bytes(160))
crc = crc16_modbus(LONG, 0, len(LONG))
LONG = memoryview(LONG + bytes([crc & 255, crc >> 8]))
PIECES = [LONG[at : at + 16] for at in range(0, len(LONG), 16)]
VALUES = [10, 258]
WRITTEN = bytes.fromhex("1110000100021298")
SHORT = (
    (GOOD, DONE), (REQUEST + GOOD, DONE), (b"\\x00" + GOOD, DONE), (GOOD + b"\\xff", DONE),
    (REFUSED, FAILED), (FOREIGN, FAILED), (BROKEN, FAILED), (b"\\x01\\x04", FAILED), (b"", FAILED),
)
client = RtuClient()

def transactions():
    for reply, status in SHORT:
        client.read(1, 4, 0x48, 2)
        client.feed(reply, len(reply))
        assert client.expected_bytes >= 0
        client.timeout()
        assert client.status == status
        if status == DONE:
            assert client.payload[0] == 0x43 and len(client.payload) == 4
    client.read(1, 4, 0, 80)
    for piece in PIECES:
        client.feed(piece)
    assert client.status == DONE
    client.write_multiple(17, 1, VALUES)
    assert client.feed(WRITTEN) == DONE
    client.write_single(17, 1, 3)
    client.timeout()

def locked():
    micropython.heap_lock()
    try:
        for _ in range(20):
            transactions()
    finally:
        micropython.heap_unlock()

def grown():
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(200):
        transactions()
    return gc.mem_alloc() - before

transactions()
grown()
locked()
print("grown", grown())
"""


@pytest.mark.parametrize("bytecode", [False, True])
def test_transactions_run_with_the_heap_locked_and_leave_nothing(bytecode: bool):
    script = SCRIPT.format(firmware=str(firmware_dir()), bytecode=bytecode)
    ran = subprocess.run(
        [find_micropython(), "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["grown", "0"]
