"""The SML slice on a small board: its import, the heap of a telegram, boards it compiles for.

Run in the 64-bit interpreter, whose objects are up to twice as large as a board's; modules as
boards get them, compiled.
"""

import subprocess
from pathlib import Path

import pytest

from clsbench.device.build import compile_file
from clsbench.hil.interpreter import find_micropython
from clsbench.meters.device_id import server_id
from clsbench.meters.sml_encode import obis_bytes, telegram
from clsbench.paths import firmware_dir

PROTO = Path(firmware_dir()) / "dicamm" / "proto"
PARTS = ("sml*.py", "d0*.py", "crc*.py", "__init__.py")
MODULES = sorted(path for pattern in PARTS for path in PROTO.glob(pattern))
FRAME_BYTES = 512

VALUES = [
    (obis_bytes("1-0:96.50.1*1"), b"EMH", None, None, None),
    (obis_bytes("1-0:96.1.0*255"), server_id("1EMH0098765432"), None, None, None),
    *((obis_bytes(f"1-0:{n}.8.0*255"), 10**9 + n, -1, 30, 386) for n in range(1, 4)),
    *((obis_bytes(f"1-0:{n}.7.0*255"), -n, 0, 27, None) for n in (16, 36)),
]
TELEGRAMS = [telegram(server_id("1EMH0098765432"), VALUES, 1000 + n) for n in range(3)]

IMPORT_SCRIPT = """
import sys
sys.path.insert(0, {home!r})
from dicamm.proto.sml import SmlReceiver
receiver = SmlReceiver(1024)
with open({file!r}, "rb") as file:
    for _ in range(300):
        file.seek(0)
        for _ in range(3):
            receiver.feed(file.read({size}))
            entries = receiver.next_event().data.entries
print(entries[2].raw)
"""

HEAP_SCRIPT = r"""
import gc, micropython, sys
sys.path.insert(0, {home!r})
from dicamm.proto.sml import SmlReceiver
with open({file!r}, "rb") as file:
    TELEGRAMS = [file.read({size}) for _ in range(3)]
receiver = SmlReceiver()

def read():
    total = 0
    for entry in receiver.next_event().data.entries:
        if entry.unit is not None and len(entry.obis) == 6:
            total += entry.raw + entry.scaler + entry.unit
    return total

def run():
    total = 0
    for data in TELEGRAMS:
        receiver.feed(data)
        total += read()
    return total

run()
gc.collect()
gc.disable()
before = gc.mem_alloc()
total = 0
for _ in range(10):
    total += run()
print((gc.mem_alloc() - before) // 30, total)
NOISE = b"\x00noise\x1b\x1b"
BROKEN = TELEGRAMS[0][:-1] + b"\x00"
data = memoryview(TELEGRAMS[1])
PIECES = [BROKEN, NOISE, data[:40]] + [data[at : at + 16] for at in range(0, len(data), 16)]
micropython.heap_lock()
for piece in PIECES:
    receiver.feed(piece)
micropython.heap_unlock()
while True:
    event = receiver.next_event()
    if event is None:
        break
    print(event.data if event.kind == 2 else len(event.data.entries))
"""


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """Runs a script that finds compiled modules at `home` and three telegrams in `file`."""
    home = tmp_path_factory.mktemp("mpy")
    folder = home / "dicamm" / "proto"
    folder.mkdir(parents=True)
    (home / "dicamm" / "__init__.py").touch()
    for path in MODULES:
        code = compile_file(path, f"dicamm/proto/{path.name}", "x64")
        (folder / f"{path.stem}.mpy").write_bytes(code)
    file = home / "telegrams"
    file.write_bytes(b"".join(TELEGRAMS))

    def run(script, *options):
        filled = script.format(home=str(home), file=str(file), size=len(TELEGRAMS[0]))
        done = subprocess.run(
            [str(find_micropython()), *options, "-c", filled],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout.splitlines()

    return run


def test_import_and_reading_of_telegrams_fit_into_40_kib(board):
    assert board(IMPORT_SCRIPT, "-X", "heapsize=40k") == [str(VALUES[2][1])]


@pytest.fixture(scope="module")
def measured(board):
    return board(HEAP_SCRIPT)


def test_a_telegram_takes_little_heap_with_every_number_read(measured):
    used, total = map(int, measured[0].split())
    expected = sum(raw + scaler + unit for _, raw, scaler, unit, _ in VALUES if unit is not None)
    assert total == 30 * expected
    assert used <= FRAME_BYTES


def test_anything_is_received_with_the_heap_locked(measured):
    assert measured[1:] == ["crc", "noise", "restart", str(len(VALUES))]


@pytest.mark.parametrize("arch", ["armv6m", "xtensawin", "x64"])
def test_every_module_compiles_for_the_board(arch):
    for path in MODULES:
        assert compile_file(path, path.name, arch)
