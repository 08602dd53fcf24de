"""Ports of a board: none, silent, over the network, and shared with mpremote and the REPL."""

import asyncio
import os
import socket
import threading
import time
import tty

import pytest
import serial
import serial.rfc2217
from board_kit import open_port, read_until
from cli_board_kit import running

from clsbench.bench.plant import PIN_RELAY
from clsbench.device.flash import mpremote
from clsbench.device.link import LinkClient
from clsbench.errors import PeerSilent
from clsbench.pki.layout import DEFAULT_CLS

pytestmark = [pytest.mark.hil, pytest.mark.usefixtures("between_quarter_hours")]


@pytest.fixture(scope="module")
def dicamm(tmp_path_factory):
    with running(tmp_path_factory.mktemp("dicamm")) as started:
        yield started


def test_port_that_is_none_is_told_with_what_there_is(dicamm):
    done = dicamm.run("status", code=3, port="/dev/no-such-port")
    assert "port /dev/no-such-port cannot be opened: No such file" in done.stderr
    assert "Ports found here: " in done.stderr and "Traceback" not in done.stderr
    refused = dicamm.run("status", code=3, port="socket://127.0.0.1:1")
    assert "cannot be opened: Connection refused" in refused.stderr
    unknown = dicamm.run("status", code=3, port="carrier-pigeon://loft")
    assert "protocol 'carrier-pigeon' not known" in unknown.stderr


async def test_silent_port_is_told_with_its_last_words():
    master, slave = os.openpty()
    tty.setraw(slave)
    link = await LinkClient.open(os.ttyname(slave))
    os.write(master, b"MemoryError: no more\r\n")
    with pytest.raises(PeerSilent, match=r"2 tries, 0\.1 s each(.|\n)*console: MemoryError: no"):
        await link.hello(timeout_s=0.1, tries=2)
    await link.close()
    os.close(master)
    os.close(slave)


class Server:
    """A board's port over TCP for one client: raw bytes, or RFC 2217."""

    def __init__(self, path, scheme):
        self._port = _PtyPort(path, timeout=0.02)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._rfc2217 = scheme == "rfc2217"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join(20)
        self._listener.close()
        self._port.close()

    def _serve(self):
        client, _address = self._listener.accept()
        manager = serial.rfc2217.PortManager(self._port, client.makefile("wb", buffering=0))
        client.settimeout(0.02)
        while True:
            try:
                data = client.recv(4096)
            except TimeoutError:
                data = None
            if data == b"":
                return client.close()
            if data:
                plain = b"".join(manager.filter(data)) if self._rfc2217 else data
                self._port.write(plain)
            if data := self._port.read(self._port.in_waiting or 1):
                client.sendall(b"".join(manager.escape(data)) if self._rfc2217 else data)


class _PtyPort(serial.Serial):
    """A pty has no modem lines."""

    cts = dsr = ri = cd = property(lambda self: True)

    def _update_dtr_state(self):
        pass

    def _update_rts_state(self):
        pass


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_board_behind_a_network_port_works_as_one_at_hand(dicamm, scheme):
    with Server(dicamm.path, scheme) as server:
        assert dicamm.json("records", port=server.url)["device_id"] == DEFAULT_CLS


# the same cable for mpremote


def test_mpremote_works_on_the_same_cable_with_the_firmware_running(dicamm):
    dicamm.run("status")
    with open_port(dicamm.board) as port:
        port.write(b"\x03")
        read_until(port, b">>> ")
    assert dicamm.board.pin(PIN_RELAY) == 0
    assert mpremote(dicamm.path, "resume", "exec", "print(6 * 7)").strip() == "42"
    dicamm.restart()
    names = mpremote(dicamm.path, "fs", "ls")
    assert "main.py" in names and "records.key" not in names  # it is in the settings store
    dicamm.restart()


def test_hand_over_brings_the_repl_and_opens_the_relay(dicamm):
    dicamm.json("switch", "begin")

    async def hand_over():
        link = await LinkClient.open(dicamm.path)
        await link.hello()
        await link.hand_over()
        await link.close()

    asyncio.run(hand_over())
    with open_port(dicamm.board) as port:
        port.write(b"\r")
        read_until(port, b">>> ")
        port.write(b"6 * 7\r")
        read_until(port, b"\r\n42\n>>> ")
    assert dicamm.board.pin(PIN_RELAY) == 0
    dicamm.restart()
    dicamm.run("time", "--set")
    deadline = time.monotonic() + 40
    while dicamm.json("status")["open_uuid"] is not None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert dicamm.json("records")["records"][-1]["event"] == "power-fail"
