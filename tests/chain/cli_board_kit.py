"""A DICAMM on a pty with a meter and no gateway, and the command run against it."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager

from clsbench.bench.plant import BenchPlant
from clsbench.clock import BenchClock
from clsbench.device.build import build_firmware
from clsbench.device.flash import flash
from clsbench.device.provision import DeviceConfig, device_files, record_key
from clsbench.eventlog import EventLog
from clsbench.hil.unix_board import UnixBoard
from clsbench.pki.layout import DEFAULT_CLS, Pki

METER = "1EAS0012345678"


class Dicamm:
    """The board with firmware and plant, and the command run against it."""

    def __init__(self, work):
        clock = BenchClock()
        self.plant = BenchPlant(clock, EventLog(None, clock, "test"))
        self.key_file = work / "records.key"
        self.board = UnixBoard(
            work / "board", uarts={0: self.plant.bus_path}, on_pin=self.plant.on_pin
        )
        self.path = self.board.path
        self._work = work

    def start(self):
        record_key(self.key_file)
        pki = Pki.init(self._work / "pki")
        self.plant.start()
        self.board.start()
        config = DeviceConfig(DEFAULT_CLS, DEFAULT_CLS, METER)
        firmware = build_firmware("unix", self._work / "firmware")
        flash(self.path, firmware + device_files(config, pki, self.key_file))
        self.wait_for_meter()

    def restart(self):
        self.board.power_cut()
        self.board.wait_for_boot()
        self.wait_for_meter()

    def wait_for_meter(self):
        deadline = time.monotonic() + 40
        while not self.json("status")["meter"]["healthy"]:
            assert time.monotonic() < deadline, "the meter did not get healthy"
            time.sleep(0.1)

    def close(self):
        self.board.close()
        self.plant.stop()

    def run(self, *arguments, code=0, port=None):
        """Runs a command; the finished process, whose exit code must be `code`."""
        done = subprocess.run(
            [*COMMAND, *arguments, "--port", port or self.path],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments, code=0, port=None):
        return json.loads(self.run(*arguments, "--json", code=code, port=port).stdout)

    def transaction(self):
        """A whole transaction; its UUID."""
        begin = self.json("switch", "begin")
        assert self.json("switch", "end")["uuid"] == begin["uuid"]
        return begin["uuid"]


COMMAND = [sys.executable, "-m", "clsbench"]


@contextmanager
def running(work):
    """A started DICAMM with its meter, closed afterwards."""
    made = Dicamm(work)
    try:
        made.start()
        yield made
    finally:
        made.close()
