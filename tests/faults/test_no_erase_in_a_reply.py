"""No byte of a reply is lost to the flash at 115200 baud: erases wait for the owner of the bus."""

import json
import os
import subprocess
from pathlib import Path

from clsbench.hil.interpreter import find_micropython
from clsbench.paths import firmware_dir

FAULTS = Path(__file__).resolve().parent


def figures(seconds, permit):
    done = subprocess.run(
        [find_micropython(), FAULTS / "fifo_run.py", str(seconds), str(permit)],
        env={**os.environ, "MICROPYPATH": f"{firmware_dir()}:{FAULTS}:.frozen"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_not_one_byte_is_lost_while_the_bus_owner_permits_the_erases():
    found = figures(4, 1)
    print(f"\n{found}")
    assert found["replies"] > 20 and found["erases"] >= 4 and found["programs"] > 50
    assert found["lost_bytes"] == 0 and found["discarded"] == 0


def test_the_model_loses_bytes_where_nobody_asks():
    found = figures(2, 0)
    assert found["erases"] >= 2 and found["lost_bytes"] > 0 and found["discarded"] > 0
