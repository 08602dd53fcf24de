"""MicroPython's raw REPL on any port that pyserial opens: code in, printed text out.

Knows the protocol of docs.micropython.org/en/latest/reference/repl.html (raw mode, raw paste with
its flow control). Content of files never stands in an error.
"""

import contextlib
import time
from collections.abc import Callable
from types import TracebackType

import serial

from clsbench.device.ports import open_serial
from clsbench.errors import PeerRefused, PeerSilent

BAUD = 115200
_ENTERED = b"raw REPL; CTRL-B to exit\r\n>"
_RAW_PASTE = b"\x05A\x01"
_INTERRUPT, _RAW, _FRIENDLY, _END = b"\x03", b"\x01", b"\x02", b"\x04"
_READ_S = 0.05
_WRITE_S = 10.0
_CHUNK, _PAUSE_S = 128, 0.01  # without flow control a console takes no more at once
_ENTER_TRIES = 5
_ENTER_S = 2.0


class RawRepl:
    """An open port in raw mode, from `enter` to `close`.

    Raises EnvironmentProblem when the port cannot be opened, PeerSilent when the board does not
    answer or its port goes away, PeerRefused with the traceback of code that failed.
    """

    def __init__(self, port: str, baud: int = BAUD):
        self.port = port
        self._serial = open_serial(port, baud, _READ_S)
        if "://" not in port:  # rfc2217:// has none
            self._serial.write_timeout = _WRITE_S
        self._paste = True
        self._rest = b""

    def __enter__(self) -> "RawRepl":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leaves raw mode, where the board still listens, and gives the port back."""
        if not self._serial.is_open:
            return
        with contextlib.suppress(OSError, serial.SerialException):
            self._serial.write(b"\r" + _FRIENDLY)
            self._serial.flush()
        self._serial.close()

    def enter(self, soft_reset: bool = True) -> None:
        """Interrupts what runs and enters raw mode; soft_reset: with an empty heap besides."""
        for _ in range(_ENTER_TRIES):
            self._rest = b""
            self._write(b"\r" + _INTERRUPT)
            time.sleep(0.05)
            self._drain()
            self._write(_INTERRUPT + b"\r" + _RAW)
            if self._sees(_ENTERED, _ENTER_S):
                break
        else:
            raise PeerSilent(
                f"board on {self.port} does not give its REPL ({_ENTER_TRIES} tries).\n"
                "  Does MicroPython run on it? Put it on with: clsbench flash --image FILE.\n"
                "  If it does, press the board's reset button and try again."
            )
        if soft_reset:
            self._write(_END)
            self._until(b"soft reboot\r\n", 10.0, "word of its soft reset")
            self._until(_ENTERED, 20.0, "raw REPL after its soft reset")

    def run(
        self, code: str, timeout_s: float = 20.0, heard: Callable[[str], None] | None = None
    ) -> str:
        """What `code` prints. heard: gets each whole line as it comes."""
        self._send(code.encode())
        printed = self._until(_END, timeout_s, "end of the code", heard).removesuffix(_END)
        failed = self._until(_END, timeout_s, "end of the code's errors").removesuffix(_END)
        self._until(b">", 5.0, "prompt")
        if failed:
            words = "\n  ".join(failed.decode("utf-8", "replace").strip().splitlines()[-3:])
            raise PeerRefused(f"board on {self.port} refused:\n  {words}")
        return printed.decode("utf-8", "replace").replace("\r\n", "\n")

    def start(self, code: str) -> None:
        """Gives code that does not come to an end, such as a reset, and the port back."""
        self._send(code.encode())
        self._serial.close()  # at once: what it says from here on is for the next one who listens

    # -- bytes

    def _send(self, source: bytes) -> None:
        if self._paste:
            self._write(_RAW_PASTE)
            answer = self._take(2, 5.0, "answer to raw paste")
            if answer == b"R\x01":
                self._send_pasted(source)
                return
            self._paste = False
            if answer != b"R\x00":  # an interpreter that has never heard of it
                self._until(b">", 5.0, "prompt")
        for at in range(0, len(source), _CHUNK):
            self._write(source[at : at + _CHUNK])
            time.sleep(_PAUSE_S)
        self._write(_END)
        self._until(b"OK", 10.0, "word that code came")

    def _send_pasted(self, source: bytes) -> None:
        window = int.from_bytes(self._take(2, 5.0, "window"), "little")
        room, at = window, 0
        while at < len(source):
            while room == 0 or self._waiting():
                word = self._take(1, 10.0, "room for more code")
                if word == _END:  # the board wants no more: it tells why in a moment
                    self._write(_END)
                    return
                room += window if word == b"\x01" else 0
            part = source[at : at + room]
            self._write(part)
            room -= len(part)
            at += len(part)
        self._write(_END)
        self._until(_END, 10.0, "word that code came")

    def _waiting(self) -> bool:
        try:
            return bool(self._rest) or bool(self._serial.in_waiting)
        except (OSError, serial.SerialException) as error:
            raise self._lost(error) from error

    def _write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except (OSError, serial.SerialException) as error:
            raise self._lost(error) from error

    def _read(self) -> bytes:
        try:
            return self._serial.read(max(1, self._serial.in_waiting))
        except (OSError, serial.SerialException) as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> PeerSilent:
        return PeerSilent(
            f"board on {self.port}: its port went away ({error}).\n"
            "  Was it unplugged, or did it reset? Run the same command again."
        )

    def _drain(self) -> None:
        while self._read():
            pass

    def _take(self, count: int, timeout_s: float, what: str) -> bytes:
        return self._collect(lambda: count if len(self._rest) >= count else -1, timeout_s, what)

    def _until(
        self,
        ending: bytes,
        timeout_s: float,
        what: str,
        heard: Callable[[str], None] | None = None,
    ) -> bytes:
        told = 0

        def found() -> int:
            nonlocal told
            if heard is not None:
                while (end := self._rest.find(b"\n", told)) >= 0:
                    heard(self._rest[told:end].decode("utf-8", "replace").strip())
                    told = end + 1
            at = self._rest.find(ending)
            return at + len(ending) if at >= 0 else -1

        return self._collect(found, timeout_s, what)

    def _sees(self, ending: bytes, seconds: float) -> bool:
        try:
            self._until(ending, seconds, "")
        except PeerSilent:
            return False
        return True

    def _collect(self, found: Callable[[], int], timeout_s: float, what: str) -> bytes:
        """Bytes up to where `found` says; timeout_s of silence end it."""
        end = time.monotonic() + timeout_s
        while (size := found()) < 0:
            data = self._read()
            if data:
                self._rest += data
                end = time.monotonic() + timeout_s
            elif time.monotonic() >= end:
                raise PeerSilent(
                    f"board on {self.port}: {what} did not come in {timeout_s:g} s.\n"
                    f"  Reset the board, then try: mpremote connect {self.port} fs ls"
                )
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
