"""A DICAMM on a bench: board, meter, link, keys, and what a test asks of them.

Makes the firmware and its provisioning for whatever board it is given, and brings the board
back when it does not answer: reset, then power cut. Knows no pytest.
"""

import uuid as uuidlib
from pathlib import Path
from typing import Any

from clsbench.device.boards import board_facts
from clsbench.device.build import build_firmware
from clsbench.device.provision import DeviceConfig, device_files, record_key
from clsbench.device.records import DeviceRecord, open_record
from clsbench.errors import ClsbenchError, PeerSilent
from clsbench.hil.board import POWER_CUT, RELAY_OBSERVER, VIRTUAL_TIME, Board, level
from clsbench.hil.link import HilLink
from clsbench.hil.meter import BenchMeter
from clsbench.hil.ring import full_ring
from clsbench.pki.layout import DEFAULT_CLS, DEFAULT_SMGW, Pki

METER_ID = "1EAS0012345678"
UTC_BASE_MS = 1_782_900_060_000  # a minute after a quarter hour
BOUND_MS, WALL_BOUND_MS = 20, 250  # of a time given over the link; a busy host needs the second
PROMPT = b">>> "
REPL_S = 5.0  # from an answered hand-over to the prompt
READY_S = 20.0  # from a start to the first good reading of the meter
# so bad a crystal that a test sees the time's bound grow within seconds
DEFAULTS: dict[str, object] = {"drift_ppm": 8000}


class Bench:
    """work: folder for the keys of this bench. compiled: for compiled modules, which may be kept.

    is_long: tests repeat what they do as often as their claim says, not just a few times.
    key: the device's HMAC key, with which a test opens records. `link` and `meter` stay the
    same through restarts.
    """

    def __init__(
        self, board: Board, work: Path, compiled: Path | None = None, is_long: bool = False
    ):
        self.board = board
        self.meter = BenchMeter()
        self.link = HilLink(board)
        self.key_file = work / "records.key"
        self.key = record_key(self.key_file)
        self.pki = _pki(work / "pki")
        self.is_long = is_long
        self.utc_shift_ms = 0
        self._compiled = compiled or work / "firmware"
        self._begin_s = 0.0
        self._past = 0

    # power and provisioning

    def start(self, **settings: object) -> None:
        """Puts firmware and provisioning on the board and waits until it is of use."""
        firmware = build_firmware(self.board.firmware, self._compiled)
        self.board.start(firmware + device_files(self._config(settings), self.pki, self.key_file))
        self.board.uart(self.board.wiring.bus_uart).connect(self.meter)
        self._begin_s = self.board.now()
        self.ready()

    def configure(self, **settings: object) -> None:
        """Other settings (keys of config.json beside the defaults), and a restart with them."""
        files = dict(device_files(self._config(settings), self.pki, self.key_file))
        self.to_repl()
        self.board.repl(
            f"with open('/config.json', 'wb') as f:\n    f.write({files['config.json']!r})\n"
        )
        self.board.reset()
        self.ready()

    def to_repl(self) -> bytes:
        """The firmware hands the console over; what was said until the prompt."""
        self.link.hand_over()
        said = bytearray()

        def at_the_prompt() -> bool:
            said.extend(self.board.console.read())
            return said.endswith(PROMPT)

        self.board.wait(at_the_prompt, REPL_S, "the REPL's prompt")
        return bytes(said)

    def ready(self, deadline_s: float = READY_S) -> dict[str, Any]:
        """Waits for an answer and a good reading, sets the time; the device's status."""
        asked = self.meter.requests
        self.greet(deadline_s)
        self.set_time()
        # a status is dear to a slow board: none before the meter was asked
        self.board.wait(lambda: self.meter.requests > asked, deadline_s, "a request to the meter")
        return self.status_when(_is_healthy, deadline_s)

    def fill_ring(self) -> None:
        """Restarts the device with a ring full of evidence that nobody has fetched."""
        sectors = board_facts(self.board.firmware).record_sectors
        identity = (DEFAULT_CLS, METER_ID)
        self.board.load_records(full_ring(sectors, self.key, DEFAULT_CLS, identity, self.utc_ms()))
        self.ready()

    def empty_ring(self) -> None:
        """Restarts the device without any record."""
        self.board.load_records(b"")
        self.ready()
        self._past = 0

    def greet(self, deadline_s: float = READY_S) -> None:
        """Waits until the device answers."""
        self.board.wait(self._greets, deadline_s, "the DICAMM's hello")

    def recover(self) -> tuple[str, dict[str, Any]]:
        """Has the device answer and its meter be well, by ever harder means.

        Returns which one it took ("" for none) and the device's status. Raises PeerSilent when
        it is beyond the bench's means.
        """
        self.meter.heal()
        means = [("", self._look), ("reset", self._reset)]
        if POWER_CUT in self.board.caps:
            means.append(("power cut", self._cycle))
        failure = ""
        for name, act in means:
            try:
                return name, act()
            except ClsbenchError as error:
                failure = str(error)
        raise PeerSilent(f"board {self.board.name} is beyond recovery: {failure}")

    def _look(self) -> dict[str, Any]:
        self.link.hello()
        status = self.link.status()
        return status if _is_healthy(status) and status["time"]["state"] == 1 else self.ready()

    def _reset(self) -> dict[str, Any]:
        self.board.reset()
        return self.ready()

    def _cycle(self) -> dict[str, Any]:
        self.board.power_cut(0.5)
        return self.ready()

    def _greets(self) -> bool:
        try:
            self.link.hello(timeout_s=0.5, tries=1)
        except PeerSilent:
            return False
        return True

    # time

    def utc_ms(self) -> int:
        """The bench's UTC, by the board's own clock."""
        return UTC_BASE_MS + self.utc_shift_ms + round((self.board.now() - self._begin_s) * 1000)

    def set_time(self, bound_ms: int = 0) -> None:
        """Gives the device the bench's UTC. bound_ms 0: what the way to this board may cost."""
        wall = WALL_BOUND_MS if VIRTUAL_TIME not in self.board.caps else BOUND_MS
        self.link.set_time(self.utc_ms(), bound_ms or wall)

    # what a test asks

    @property
    def relay_closed(self) -> bool:
        """What the bench sees of the relay, or the device's word where it sees none."""
        if RELAY_OBSERVER in self.board.caps:
            return bool(level(self.board.pin(self.board.wiring.relay)))
        return self.link.status()["relay_closed"]

    def begin(self, uuid: bytes | None = None, text: str = "hil") -> bytes:
        """Begins a transaction; its UUID."""
        uuid = uuid or uuidlib.uuid4().bytes
        code, seq, words = self.link.command("begin", uuid, text, self.utc_ms())
        assert code == 0 and seq, (code, words)
        return uuid

    def end(self, uuid: bytes) -> None:
        """Ends it."""
        code, seq, words = self.link.command("end", uuid, "hil", self.utc_ms())
        assert code == 0 and seq, (code, words)

    def transaction(self) -> bytes:
        """A begin and an end; their UUID."""
        uuid = self.begin()
        self.end(uuid)
        return uuid

    def mark(self, status: dict[str, Any] | None = None) -> None:
        """All records so far are of the past, and may give way. status: of just now."""
        journal = (status or self.link.status())["journal"]
        self._past = journal["newest"]
        if journal["unacknowledged"]:
            self.link.acknowledge(self._past)

    def records(self, first: int = 0) -> list[DeviceRecord]:
        """The records from number `first` on, or since `mark`, opened with the key. Raises
        SealBroken."""
        sealed = self.link.records(first or self._past + 1)
        return [open_record(each, self.key) for _, each in sealed]

    def records_of(self, uuid: bytes) -> list[DeviceRecord]:
        """Those of one transaction or event since `mark`."""
        text = str(uuidlib.UUID(bytes=uuid))
        return [record for record in self.records() if record.uuid == text]

    def newest(self) -> int:
        """The highest number of a record on the device."""
        return self.link.status()["journal"]["newest"]

    def status_when(self, claim: Any, deadline_s: float = READY_S) -> dict[str, Any]:
        """The first status of which `claim` is true. Raises PeerSilent with the last one."""
        end = self.board.now() + deadline_s
        while not claim(status := self.link.status()):
            if self.board.now() >= end:
                raise PeerSilent(f"status did not become as wanted in {deadline_s:g} s: {status}")
            self.board.sleep(0.5 if VIRTUAL_TIME in self.board.caps else 0.1)  # each is dear there
        return status

    def until(self, predicate: Any, deadline_s: float, what: str) -> Any:
        """As `Board.wait`, and takes meanwhile what the device says."""

        def reached() -> Any:
            self.link.pump()
            return predicate()

        return self.board.wait(reached, deadline_s, what)

    def _config(self, settings: dict[str, object]) -> DeviceConfig:
        return DeviceConfig(
            device_id=DEFAULT_CLS,
            cls_id=DEFAULT_CLS,
            meter_id=METER_ID,
            extra=DEFAULTS | settings,
        )


def _is_healthy(status: dict[str, Any]) -> bool:
    return status["meter"]["healthy"]


def _pki(directory: Path) -> Pki:
    """The bench's test PKI, made on first use."""
    if (directory / "han").is_dir():
        return Pki.open(directory)
    return Pki.init(directory, smgw_id=DEFAULT_SMGW, cls_ids=[DEFAULT_CLS])
