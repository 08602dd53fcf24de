"""A board made of the real MicroPython unix port as a process behind a pty.

Its console is a serial port for stock mpremote and for the bench link; its flash images are
files in `workdir` and survive power cuts; its relay, watchdog and reset are seen and done
here. Knows nothing of meters or of the firmware it runs.
"""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from clsbench.errors import EnvironmentProblem, PeerSilent
from clsbench.hil.board_process import BoardProcess, board_environment
from clsbench.hil.console import STUCK_S, Console
from clsbench.hil.interpreter import find_micropython
from clsbench.hil.orders import Orders
from clsbench.hil.pin_lines import PinLines, pin_line
from clsbench.hil.ptys import read_some
from clsbench.paths import boards_dir

PinObserver = Callable[[int, int, int], None]

BOOT_LIMIT_S = 15.0
PROMPT = b"\r\n>>> "
INTERRUPTED_S = 1.0  # a death so soon after Ctrl-C is an interrupted program, no crash

# causes of a start, as the board's machine.reset_cause() tells them
POWER_ON, HARD, WATCHDOG, SOFT = "PWRON", "HARD", "WDT", "SOFT"


class UnixBoard:
    """A board in a process. `path` is its console port from the first moment to `close`.

    workdir: holds `flash.littlefs` and `record.nor`.
    heap: heap of the interpreter (`384k`); speed: how fast bench time runs (HIL_SPEED).
    uarts: UART id -> tty path of the bus. env: further variables for the interpreter.
    on_pin(pin, level, mono_ns): called in the board's thread at every change of an output,
    with time.monotonic_ns(); it may call power_cut and stop, which then do not wait.

    All methods may be called from any thread, and return in milliseconds (start: when the
    interpreter listens), so an asyncio program may call them too.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        heap: str = "384k",
        speed: int = 1,
        uarts: Mapping[int, str] | None = None,
        on_pin: PinObserver | None = None,
        env: Mapping[str, str] | None = None,
    ):
        self._program = find_micropython()
        self._home = boards_dir() / "unix"
        self._heap = heap
        self._on_pin = on_pin
        workdir.mkdir(parents=True, exist_ok=True)
        self._env = {
            **board_environment(self._home, workdir.resolve(), speed),
            **{f"HIL_UART{number}": path for number, path in (uarts or {}).items()},
            **(env or {}),
        }
        self._console = Console()
        self.path = self._console.port.path
        self.causes: list[str] = []
        self._pins = PinLines()
        self._process: BoardProcess | None = None
        self._listening = False
        self._failure: str | None = None
        self._last_words = b""
        self._watchdog_ms: int | None = None
        self._watchdog_at: float | None = None
        self._start_at: float | None = None
        self._boot_until = 0.0
        self._changed = threading.Condition()
        self._orders = Orders(f"unix board {self.path}")
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="unix-board", daemon=True)
        self._orders.thread = self._thread
        self._thread.start()

    # what the bench sees and does

    @property
    def boots(self) -> int:
        """How often the interpreter was started, soft resets included; `causes` says why."""
        return len(self.causes)

    @property
    def alive(self) -> bool:
        """True while the interpreter runs and listens."""
        return self._listening

    @property
    def discarded(self) -> int:
        """Console bytes that nobody read while nobody had the port open for long."""
        return self._console.discarded

    @property
    def pid(self) -> int | None:
        """The interpreter's process id, None while the supply is off."""
        process = self._process
        return None if process is None else process.pid

    def pin(self, pin: int) -> int:
        """The level that the board drives on a pin, 0 when it drives none."""
        return self._pins.outputs.get(pin, 0)

    def set_pin(self, pin: int, level: int) -> None:
        """Applies a level to an input; it stays through resets and power cuts."""
        self._orders.give(lambda: self._apply(pin, 1 if level else 0))

    def start(self) -> None:
        """Switches the supply on; returns when the interpreter takes input.

        Raises EnvironmentProblem with its last words when it does not come up.
        """
        self._orders.give(lambda: self._power_on(POWER_ON) if self._process is None else None)
        if not self._wait(lambda: self._listening or self._failure is not None, BOOT_LIMIT_S):
            raise EnvironmentProblem(f"{self._program} did not boot in {BOOT_LIMIT_S:.0f} s")
        if self._failure is not None:
            raise EnvironmentProblem(self._failure)

    def power_cut(self, off_s: float = 0.0) -> None:
        """Cuts the supply now, between two instructions; it comes back after `off_s`.

        Returns when the board is dead and its pins have read low; `wait_for_boot` waits for
        the restart.
        """
        self._orders.give(lambda: self._power_cut(off_s))

    def reset(self) -> None:
        """The reset button; `wait_for_boot` waits for the restart."""
        self._orders.give(lambda: self._reset(HARD))

    def stop(self) -> None:
        """Cuts the supply and leaves it off until `start`."""
        self._orders.give(self._power_off)

    def close(self) -> None:
        """Ends the board and gives back process, thread and ports. May be called twice."""
        with contextlib.suppress(EnvironmentProblem):  # closed already, or broken down
            self._orders.give(self._leave)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def wait_for_boot(self, boots: int = 0, timeout_s: float = BOOT_LIMIT_S) -> None:
        """Waits until the interpreter listens and has been started at least `boots` times.

        After power_cut without a number: until the board is up again.

        Raises PeerSilent after `timeout_s`.
        """
        if not self._wait(lambda: self.boots >= boots and self._listening, timeout_s):
            raise PeerSilent(
                f"unix board {self.path}: not up (start {boots}) in {timeout_s:g} s "
                f"({self.boots} starts so far: {' '.join(self.causes)}). {self._failure or ''}"
            )

    def __enter__(self) -> "UnixBoard":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self, reached: Callable[[], bool], timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(reached, timeout_s)

    def _leave(self) -> None:
        self._power_off()
        self._closing = True

    # the board's thread

    def _run(self) -> None:
        try:
            while not self._closing:
                look_again = self._console.gate.pump(time.monotonic())
                events = self._poll(look_again)
                self._serve(events)
                self._keep_time(time.monotonic())
        finally:  # also when an observer of ours raised: no process stays behind
            self._on_pin = None
            self._end_process()
            self._orders.close()
            self._console.close()

    def _poll(self, look_again: float | None) -> set[int]:
        """Sleeps until a descriptor or a time wants something; returns the descriptors."""
        poll = select.poll()
        poll.register(self._orders.fd, select.POLLIN)
        console = self._console
        times = [look_again, self._watchdog_at, self._start_at]
        if console.watch.fd is not None:
            poll.register(console.watch.fd, select.POLLIN)
        elif not console.attached:
            times.append(time.monotonic() + console.watch.poll_s)
        if console.attached:
            wants = select.POLLIN * console.accepts_input()
            poll.register(console.port.master, wants | select.POLLOUT * console.host_wants_bytes())
        if self._process is not None:
            poll.register(self._process.gpio.master, select.POLLIN)
            if console.accepts_output():
                flags = select.POLLIN | select.POLLOUT * console.gate.blocked
                poll.register(self._process.console.master, flags)
            else:
                times.append(time.monotonic() + STUCK_S)
            if not self._listening:
                times.append(self._boot_until)
        due = min((moment for moment in times if moment is not None), default=None)
        wait_ms = None if due is None else max(0.0, due - time.monotonic()) * 1000 + 0.5
        return {fd for fd, _ in poll.poll(wait_ms)}

    def _serve(self, events: set[int]) -> None:
        console, process = self._console, self._process
        if process is not None and process.gpio.master in events:
            self._hear_pins(process)
        if console.watch.fd is None or console.watch.fd in events:
            console.look_who_is_there()
        if console.port.master in events:
            console.take_input(keep=self._process is not None)
            console.flush_to_host()
        if process is not None and process.console.master in events:
            self._hear_console(process)
        if self._orders.fd in events:
            self._orders.serve()

    def _keep_time(self, now: float) -> None:
        if self._watchdog_bites(now) and self._process is not None:
            self._hear_pins(self._process)  # it may be this thread that was held up
        if self._watchdog_bites(now):
            self._reset(WATCHDOG)
        if self._start_at is not None and now >= self._start_at:
            self._power_on(POWER_ON)
        if self._process is not None and not self._listening and now >= self._boot_until:
            self._fail("does not get through its first script")

    def _watchdog_bites(self, now: float) -> bool:
        return self._watchdog_at is not None and now >= self._watchdog_at

    def _hear_console(self, process: BoardProcess) -> None:
        data = read_some(process.console.master)
        if data:
            self._last_words = (self._last_words + data)[-2000:]
            self._console.say(data)
            if not self._listening and PROMPT in self._last_words:
                self._hear_pins(process)  # it may have said so just now
                if not self._listening:
                    self._fail("does not get through its first script")
        elif data == b"":
            self._left(process)

    def _hear_pins(self, process: BoardProcess) -> None:
        data = read_some(process.gpio.master)
        for word, numbers in self._pins.feed(data or b""):
            if process is not self._process:
                return
            self._heed(word, numbers)

    def _heed(self, word: str, numbers: tuple[int, ...]) -> None:
        if word == "pin" and len(numbers) == 2:
            if self._pins.drive(*numbers):
                self._report(*numbers)
        elif word == "feed" and self._watchdog_ms is not None:
            self._watchdog_at = time.monotonic() + self._watchdog_ms / 1000
        elif word == "wdt" and len(numbers) == 1:
            self._watchdog_ms = numbers[0]
            self._watchdog_at = time.monotonic() + numbers[0] / 1000
        elif word == "boot":
            self._note_boot()
        elif word == "reset":
            self._reset(HARD)
        else:
            self._pins.discarded += 1

    def _note_boot(self) -> None:
        if self._process is not None:
            self._console.gate.open(self._process)
        with self._changed:
            self._listening = True
            self._changed.notify_all()

    def _report(self, pin: int, level: int) -> None:
        if self._on_pin is not None:
            self._on_pin(pin, level, time.monotonic_ns())

    # supply, starts and ends

    def _apply(self, pin: int, level: int) -> None:
        self._pins.inputs[pin] = level
        if self._process is not None:
            os.write(self._process.gpio.master, pin_line(pin, level))

    def _power_on(self, cause: str, main: bool = True) -> None:
        self._start_at = None
        self._failure = None
        self._last_words = b""
        env = {**self._env, "HIL_RESET_CAUSE": cause, "HIL_NO_MAIN": "" if main else "1"}
        script = self._home / "unix_boot.py"
        self._process = BoardProcess(self._program, script, self._heap, env)
        self._boot_until = time.monotonic() + BOOT_LIMIT_S
        os.write(self._process.gpio.master, self._pins.greeting() or b"\n")
        with self._changed:
            self.causes.append(cause)

    def _power_cut(self, off_s: float) -> None:
        self._power_off()
        self._start_at = time.monotonic() + off_s

    def _power_off(self) -> None:
        self._start_at = None
        self._end_process()
        self._fall_low()
        self._console.raw = False

    def _reset(self, cause: str) -> None:
        """The chip starts anew: pins float, RAM is lost."""
        self._power_off()
        self._power_on(cause)

    def _end_process(self) -> None:
        """Kills what runs; what it had said until then still counts."""
        process = self._process
        if process is None:
            return
        process.kill()
        while data := read_some(process.console.master):
            self._console.say(data)
        self._forget(process)

    def _forget(self, process: BoardProcess) -> None:
        self._process = None
        self._watchdog_ms = self._watchdog_at = None
        self._console.gate.shut()
        with self._changed:
            self._listening = False
            self._changed.notify_all()
        while data := read_some(process.gpio.master):
            for word, numbers in self._pins.feed(data):
                if word == "pin" and len(numbers) == 2 and self._pins.drive(*numbers):
                    self._report(*numbers)
        process.close()

    def _fall_low(self) -> None:
        for pin in self._pins.drop():
            self._report(pin, 0)

    def _left(self, process: BoardProcess) -> None:
        """The interpreter ended by itself: Ctrl-D, soft_reset, or a crash."""
        code = process.reap()
        listened = self._listening
        just_interrupted = time.monotonic() - self._console.gate.last_interrupt < INTERRUPTED_S
        pending = bytes(self._console.gate.pending)
        self._forget(process)
        if not listened:
            self._fail(f"ended with code {code} before it listened")
        elif code == -signal.SIGINT or (code and just_interrupted):
            self._restart_softly(main=False, pending=pending)
        elif code < 0:
            self._console.say(b"\r\nboard: interpreter ended by signal %d\r\n" % -code)
            self._reset(HARD)
        else:
            self._console.say(b"MPY: soft reboot\r\n")
            self._restart_softly(main=not self._console.raw, pending=pending)

    def _restart_softly(self, main: bool, pending: bytes) -> None:
        """As a board's soft reset: pins stay, the REPL keeps its mode."""
        raw = self._console.raw
        self._power_on(SOFT, main)
        self._console.gate.pending += (b"\x01" if raw else b"") + pending

    def _fail(self, what: str) -> None:
        words = self._last_words.decode("utf-8", "replace").strip()
        self._end_process()
        self._fall_low()
        with self._changed:
            self._failure = f"{self._program} {what}.\n  Its last words: {words or 'none'}"
            self._changed.notify_all()
