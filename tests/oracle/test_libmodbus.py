"""Played meter and device client against libmodbus: mbpoll as master, the library as slave."""

import ctypes
import ctypes.util
import os
import re
import shutil
import subprocess
import threading
import tty

import pytest

from clsbench.clock import BenchClock
from clsbench.meters import catalogue
from clsbench.meters.load_spec import plant_of
from clsbench.meters.player import MeterPlayer
from clsbench.meters.rtu_line import LineSettings, RtuLine
from clsbench.meters.rtu_responder import RtuResponder
from dicamm.proto import modbus, modbus_pdu

MBPOLL = shutil.which("mbpoll")
LIBMODBUS = ctypes.util.find_library("modbus")


@pytest.mark.skipif(MBPOLL is None, reason="mbpoll is not installed (Debian: apt install mbpoll)")
def test_mbpoll_reads_the_played_meter():
    assert MBPOLL is not None
    clock = BenchClock()
    model = catalogue.load("eastron_sdm630")
    player = MeterPlayer(
        model, plant_of("2300", clock.now_ms()), clock, fixed={"1-0:1.8.0": "1234.5"}
    )
    with RtuLine(RtuResponder({1: player}), LineSettings(baud=9600)) as line:
        command = [MBPOLL, "-m", "rtu", "-a", "1", "-b", "9600", "-P", "none", "-t", "3:float"]
        command += ["-B", "-0", "-r", "72", "-c", "1", "-1", line.path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\[72\]:\s+1234\.5", done.stdout), done.stdout


class _Mapping(ctypes.Structure):
    """modbus_mapping_t of modbus.h, version 3.1."""

    _fields_ = [
        *((f"number{index}", ctypes.c_int) for index in range(8)),
        ("bits", ctypes.c_void_p),
        ("input_bits", ctypes.c_void_p),
        ("input_registers", ctypes.POINTER(ctypes.c_uint16)),
        ("registers", ctypes.POINTER(ctypes.c_uint16)),
    ]


class LibmodbusSlave:
    """Unit 1 with 130 registers of each kind: input register n holds 1000 + n, holding n is n."""

    def __init__(self, path: str):
        assert LIBMODBUS is not None
        self._lib = ctypes.CDLL(LIBMODBUS)
        self._lib.modbus_new_rtu.restype = ctypes.c_void_p
        self._lib.modbus_mapping_new.restype = ctypes.POINTER(_Mapping)
        self._context = ctypes.c_void_p(
            self._lib.modbus_new_rtu(path.encode(), 9600, ctypes.c_char(b"N"), 8, 1)
        )
        self._lib.modbus_set_slave(self._context, 1)
        assert self._lib.modbus_connect(self._context) == 0
        self.map = self._lib.modbus_mapping_new(0, 0, 130, 130)
        for number in range(130):
            self.map.contents.input_registers[number] = 1000 + number
            self.map.contents.registers[number] = number
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        query = (ctypes.c_uint8 * 260)()
        while True:
            size = self._lib.modbus_receive(self._context, query)
            if size > 0:
                self._lib.modbus_reply(self._context, query, size, self.map)
            elif size < 0 and ctypes.get_errno():
                return


def exchange(fd: int, client: modbus.RtuClient, request: memoryview) -> int:
    """Sends and feeds until the client has a verdict."""
    os.write(fd, bytes(request))
    while client.feed(os.read(fd, 7)) == modbus_pdu.PENDING:
        pass
    return client.status


@pytest.mark.skipif(LIBMODBUS is None, reason="libmodbus is not installed (apt install mbpoll)")
def test_every_function_the_client_uses_is_understood_by_libmodbus():
    fd, other = os.openpty()
    tty.setraw(other)
    slave = LibmodbusSlave(os.ttyname(other))
    client = modbus.RtuClient()
    for function, base in ((3, 0), (4, 1000)):
        for address, count in ((0, 1), (3, 2), (5, 125)):
            request = client.read(1, function, address, count)
            assert exchange(fd, client, request) == modbus_pdu.DONE
            words = [base + address + number for number in range(count)]
            assert bytes(client.payload) == b"".join(word.to_bytes(2) for word in words)
    assert exchange(fd, client, client.write_single(1, 7, 0xABCD)) == modbus_pdu.DONE
    values = [number * 3 for number in range(100)]
    assert exchange(fd, client, client.write_multiple(1, 10, values)) == modbus_pdu.DONE
    registers = slave.map.contents.registers
    assert registers[7] == 0xABCD and registers[10:110] == values
    assert exchange(fd, client, client.read(1, 3, 128, 4)) == modbus_pdu.FAILED
    assert (client.error, client.exception_code) == (modbus_pdu.EXCEPTION, 2)
    assert sum(client.discarded.values()) == 0
