"""The M-Bus slice on a small board: heap of a frame and of the import, boards it compiles for.

Modules as boards get them, compiled. Run in the 64-bit interpreter, whose objects are up to twice
as large as a board's: limits of bytes are doubled, the heap as a whole is the board's.
"""

import subprocess

import pytest

from clsbench.device.build import compile_file
from clsbench.hil.interpreter import find_micropython
from clsbench.meters.mbus_encode import integer, long_frame, secondary_address, telegram
from clsbench.paths import firmware_dir

PROTO = firmware_dir() / "dicamm" / "proto"
MODULES = sorted(PROTO.glob("*mbus*.py")) + sorted(PROTO.glob("hdlc*.py"))
IMPORT_BYTES = 2 * 12 * 1024
FRAME_BYTES = 2 * 29150 // 40
HEAP = "40k"

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
sys.path.insert(0, {home!r})
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
def measured(tmp_path_factory):
    home = tmp_path_factory.mktemp("mpy")
    folder = home / "dicamm" / "proto"
    folder.mkdir(parents=True)
    (home / "dicamm" / "__init__.py").touch()
    for module in [*MODULES, PROTO / "__init__.py"]:
        code = compile_file(module, f"dicamm/proto/{module.name}", "x64")
        (folder / f"{module.stem}.mpy").write_bytes(code)
    script = SCRIPT.format(home=str(home), frame=FRAME.hex())
    done = subprocess.run(
        [str(find_micropython()), "-X", f"heapsize={HEAP}", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return [int(line) for line in done.stdout.split()]


def test_import_and_reading_fit_into_40_kib(measured):
    imported, _, records = measured
    assert imported <= IMPORT_BYTES and records == 12


def test_a_frame_takes_little_heap(measured):
    assert measured[1] <= FRAME_BYTES


@pytest.mark.parametrize("arch", ["armv6m", "xtensawin"])
def test_every_module_compiles_for_the_board(arch):
    for module in MODULES:
        assert compile_file(module, module.name, arch)
