"""The unix board as somebody else's board: its console served over RFC 2217 on loopback.

    python tests/tools/board_server.py WORKDIR

prints one line of JSON, the options with which the HIL suite drives it from elsewhere: `--board`
(an rfc2217:// URL), `--bus` (the other end of its RS-485 line), `--power` (a command that takes
`on` or `off`) and `--relay-line` (the modem line that shows its relay). SIGTERM ends it.
"""

import contextlib
import json
import logging
import shlex
import signal
import socket
import sys
import threading
from pathlib import Path

import serial
import serial.rfc2217

from clsbench.hil.unix import WIRING
from clsbench.hil.unix_board import UnixBoard
from clsbench.meters.line import SerialLine

LOOK_S = 0.005
SWITCH = "--switch"


class Console(serial.Serial):
    """A pty with the modem lines of a port: CTS follows the board's relay."""

    board: UnixBoard | None = None

    @property
    def cts(self):
        return bool(self.board and self.board.pin(WIRING.relay))

    dsr = ri = cd = property(lambda self: False)

    def _update_dtr_state(self):
        pass

    def _update_rts_state(self):
        pass


def serve(listener: socket.socket, console: Console) -> None:
    """One client after the other."""
    while True:
        client, _address = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, contextlib.suppress(OSError):
            attend(client, console)


def attend(client: socket.socket, console: Console) -> None:
    stream = client.makefile("wb", buffering=0)
    manager = serial.rfc2217.PortManager(console, stream, logging.getLogger("rfc2217"))
    over = threading.Event()
    up = threading.Thread(target=send_up, args=(client, console, manager, over), daemon=True)
    up.start()
    try:
        while data := client.recv(4096):
            console.write(b"".join(manager.filter(data)))
    finally:
        over.set()
        up.join()


def send_up(client, console, manager, over) -> None:
    """What the board says, and every change of its relay."""
    with contextlib.suppress(OSError, serial.SerialException):
        while not over.is_set():
            data = console.read(1)
            data += console.read(console.in_waiting) if data else b""
            if data:
                client.sendall(b"".join(manager.escape(data)))
            manager.check_modem_lines()


def serve_power(listener: socket.socket, board: UnixBoard) -> None:
    while True:
        client, _address = listener.accept()
        with client:
            word = client.recv(16).decode()
            (board.start if word == "on" else board.stop)()
            client.sendall(b"done")


def switch(path: str, word: str) -> int:
    """The power switch's command."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(word.encode())
        return 0 if client.recv(16) == b"done" else 1


def main(workdir: Path) -> int:
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    workdir.mkdir(parents=True, exist_ok=True)
    power = socket.socket(socket.AF_UNIX)
    power.bind(str(workdir / "power"))
    power.listen()
    tcp = socket.create_server(("127.0.0.1", 0))
    with SerialLine(paced=False) as line, UnixBoard(workdir, uarts={0: line.a_path}) as board:
        console = Console(board.path, timeout=LOOK_S)
        console.board = board
        threading.Thread(target=serve, args=(tcp, console), daemon=True).start()
        threading.Thread(target=serve_power, args=(power, board), daemon=True).start()
        command = [sys.executable, __file__, SWITCH, str(workdir / "power")]
        options = {
            "--board": f"rfc2217://127.0.0.1:{tcp.getsockname()[1]}",
            "--bus": line.b_path,
            "--power": shlex.join(command),
            "--relay-line": "cts",
        }
        print(json.dumps(options), flush=True)
        done.wait()
    return 0


if __name__ == "__main__":
    if sys.argv[1] == SWITCH:
        sys.exit(switch(*sys.argv[2:]))
    sys.exit(main(Path(sys.argv[1])))
