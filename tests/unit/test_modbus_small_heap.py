"""The Modbus slice alone, as compiled for a board, lives in a heap of 40 KiB (64-bit objects)."""

import os
import subprocess

import pytest

from clsbench.device.build import compile_file
from clsbench.hil.interpreter import find_micropython
from clsbench.paths import firmware_dir

SLICE = ("__init__", "proto/__init__", "proto/crc", "proto/crc_viper", "proto/modbus")
LOOPS = ("proto/modbus_judge", "proto/modbus_loops", "proto/modbus_viper", "proto/modbus_bytecode")
READS = """
from dicamm.proto import modbus, modbus_loops
reply = bytearray(b"\\x01\\x04\\xa0" + bytes(162))
client = modbus.RtuClient()
from dicamm.proto.crc import crc16_modbus
crc = crc16_modbus(reply, 0, 163)
reply[163], reply[164] = crc & 255, crc >> 8
for _ in range(50):
    client.read(1, 4, 0, 80)
    assert client.feed(reply) == 2 and len(client.payload) == 160
print(modbus_loops.VIPER)
"""


@pytest.mark.parametrize("viper", [True, False])
def test_slice_imports_and_reads_eighty_registers(tmp_path, viper: bool):
    for name in SLICE + LOOPS:
        if viper or not name.endswith("_viper"):
            source = firmware_dir() / "dicamm" / f"{name}.py"
            target = tmp_path / "dicamm" / f"{name}.mpy"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(compile_file(source, f"dicamm/{name}.py", "x64"))
    (tmp_path / "reads.mpy").write_bytes(_compiled(tmp_path))
    done = subprocess.run(
        [find_micropython(), "-X", "heapsize=40k", "-m", "reads"],
        env={**os.environ, "MICROPYPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == str(viper), done.stdout + done.stderr


def _compiled(folder) -> bytes:
    source = folder / "reads.py"
    source.write_text(READS)
    code = compile_file(source, "reads.py", "x64")
    source.unlink()
    return code
