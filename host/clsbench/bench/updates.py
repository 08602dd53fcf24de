"""Updates of a board whose power is cut at random: what must come of each, and what came.

A version is the firmware with another `dicamm/__init__`, sound or broken on purpose. Drives the
unix board through the same steps as `clsbench update`. Knows no pytest.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from clsbench.bench.plant import BenchPlant
from clsbench.clock import BenchClock
from clsbench.device import update as steps
from clsbench.device.build import build_firmware, compile_file
from clsbench.device.flash import flash
from clsbench.device.link import LinkClient
from clsbench.device.provision import DeviceConfig, device_files, record_key
from clsbench.device.records import SealBroken, check_chain, open_record
from clsbench.device.update import SlotState
from clsbench.device.update_manifest import Manifest, make_manifest
from clsbench.errors import EnvironmentProblem, PeerRefused, PeerSilent
from clsbench.eventlog import EventLog
from clsbench.hil.unix_board import UnixBoard
from clsbench.pki.layout import DEFAULT_CLS, Pki
from dicamm import VERSION

METER_ID = "1EAS0012345678"
TRIAL_S = 4
SOUND = "sound"
# kind of a version -> what its dicamm/__init__ does beside naming itself
BROKEN = {
    "error": "raise ValueError('broken on purpose')\n",
    "reset": "while True:\n    pass\n",
    "bus": (
        "import machine\n\n\nclass Deaf(machine.UART):\n    def write(self, data):\n"
        "        return len(data)\n\n\nmachine.UART = Deaf\n"
    ),
    "time": "",  # nobody tells it the time
}
_INIT = "lib/dicamm/__init__.mpy"
_CUT_SPANS_S = (0.7, 4.5)  # from the begin of an update: while it is staged, or on trial
_RESOLVED_S = 60.0
_SWITCH_TRIES = 5


@dataclass
class Course:
    """What happened. ends: kind -> how often it came out as it must; findings: what did not."""

    updates: int = 0
    cuts: int = 0
    begun_again: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    records: int = 0


class UpdateBench:
    """A unix board with its meter, and versions for it. work: an empty folder."""

    def __init__(self, work: Path, chance: random.Random):
        clock = BenchClock()
        self.chance = chance
        self.course = Course()
        self.work = work
        self.plant = BenchPlant(clock, EventLog(None, clock, "updates"))
        self.board = UnixBoard(
            work / "board", uarts={0: self.plant.bus_path}, on_pin=self.plant.on_pin
        )
        self.key = record_key(work / "records.key")
        self.files = build_firmware("unix", work / "firmware")
        self.version = 0
        self.named = VERSION  # what the version in force calls itself
        self._number = 0
        self._seen: dict[int, bytes] = {}

    async def start(self) -> None:
        """Flashes the board by cable and waits for its first good reading."""
        self.plant.start()
        self.board.start()
        config = DeviceConfig(DEFAULT_CLS, DEFAULT_CLS, METER_ID, extra={"trial_s": TRIAL_S})
        provision = device_files(config, Pki.init(self.work / "pki"), self.work / "records.key")
        await asyncio.to_thread(flash, self.board.path, [*self.files, *provision])
        await self._ready()

    def close(self) -> None:
        """Ends board and plant."""
        self.board.close()
        self.plant.stop()

    def manifest(self, kind: str, number: int) -> Manifest:
        """A version of a kind: SOUND or a key of BROKEN."""
        source = self.work / f"init-{number}.py"
        source.write_text(f'VERSION = "0.{number}.0"\n{BROKEN.get(kind, "")}')
        init = compile_file(source, "dicamm/__init__.py", "x64")
        files = [(path, init if path == _INIT else content) for path, content in self.files]
        return make_manifest("unix", number, files, self.key)

    async def update(self, kind: str, cut: bool = True) -> SlotState:
        """One update with a power cut at a random instant; the state at its end.

        Repeated, as a user would, until the version is in force or was taken back.
        """
        self._number += 1 + self.chance.randrange(3)
        manifest = self.manifest(kind, self._number)
        self.course.updates += 1
        cutting = asyncio.create_task(self._cut()) if cut else None
        try:
            await self._resolve(manifest, kind != "time")
        finally:
            if cutting is not None:
                await cutting
        await self._ready()
        state = await self._state()  # a cut after the end changes nothing
        await self._judge(kind, manifest, state)
        return state

    async def switch(self) -> None:
        """A whole transaction, so that there are records to be lost."""
        for _ in range(_SWITCH_TRIES):
            if await self._switched():
                return
            await self._ready()  # a meter that missed two reads is a reason to refuse, no finding
        self.course.findings.append(f"no transaction in {_SWITCH_TRIES} tries")

    async def _switched(self) -> bool:
        key = self.chance.randbytes(16)
        async with OpenLink(self.board.path) as link:
            await link.set_time(time.time_ns() // 1_000_000, 500)
            code, _, text = await link.command("begin", key)
            if code:
                return False
            code, _, text = await link.command("end", key)
            if code:
                self.course.findings.append(f"end refused with {code}: {text}")
            return True

    async def look_at_records(self) -> None:
        """Every record seen before is there as it was, and the chain holds."""
        async with OpenLink(self.board.path) as link:
            found = dict(await link.records())
        for seq, sealed in self._seen.items():
            if found.get(seq) != sealed:
                self.course.findings.append(f"record {seq} is gone or another")
        try:
            opened = [open_record(sealed, self.key) for _, sealed in sorted(found.items())]
        except SealBroken as error:
            self.course.findings.append(f"a seal does not hold: {error}")
        else:
            self.course.findings += [str(each) for each in check_chain(opened)]
        self._seen = found
        self.course.records = len(found)

    async def _cut(self) -> None:
        await asyncio.sleep(self.chance.random() * self.chance.choice(_CUT_SPANS_S))
        self.course.cuts += 1
        await asyncio.to_thread(self.board.power_cut)

    async def _resolve(self, manifest: Manifest, set_time: bool) -> SlotState:
        until = time.monotonic() + _RESOLVED_S
        first = True
        while time.monotonic() < until:
            try:
                state = await self._state()
                if manifest.version in (state.version, state.failed):
                    return state
                if not state.trial:
                    self.course.begun_again += not first
                    first = False
                    await self._stage(manifest)
                return await steps.outcome(self.board.path, manifest.version, set_time, 20.0)
            except (PeerSilent, PeerRefused, EnvironmentProblem):
                await asyncio.sleep(0.3)  # cut off; what became of it is asked anew
        raise PeerSilent(f"version {manifest.version} came to no end in {_RESOLVED_S:g} s")

    async def _state(self) -> SlotState:
        async with OpenLink(self.board.path) as link:
            return await steps.slot_state(link)

    async def _stage(self, manifest: Manifest) -> None:
        async with OpenLink(self.board.path) as link:
            await steps.stage(link, manifest, lambda _: None)
            await steps.start_trial(link)

    async def _judge(self, kind: str, manifest: Manifest, state: SlotState) -> None:
        number = manifest.version
        good = state.version == number
        if good != (kind == SOUND) and not (kind == SOUND and state.why == "power"):
            self.course.findings.append(f"version {number}, {kind}: ended as {state}")
        if good:
            self.version, self.named = number, f"0.{number}.0"
        elif state.version != self.version:
            self.course.findings.append(f"back to {state.version}, not to {self.version}")
        outcome = "in force" if good else f"back: {state.why}"
        name = f"{kind}, {outcome}"
        self.course.ends[name] = self.course.ends.get(name, 0) + 1
        named = (await self._ready())["version"]
        if named != self.named:
            self.course.findings.append(f"runs {named}, not {self.named}")
        self._source(number).unlink()

    def _source(self, number: int) -> Path:
        return self.work / f"init-{number}.py"

    async def _ready(self) -> dict:
        until = time.monotonic() + _RESOLVED_S
        while time.monotonic() < until:
            try:
                async with OpenLink(self.board.path) as link:
                    hello = await link.hello()
                    if (await link.status())["meter"]["healthy"]:
                        return hello
            except (PeerSilent, PeerRefused):
                pass
            await asyncio.sleep(0.2)
        raise PeerSilent(f"the board did not get ready in {_RESOLVED_S:g} s")


class OpenLink:
    """An open bench link with a greeting, closed at the end."""

    def __init__(self, port: str):
        self._port = port

    async def __aenter__(self) -> LinkClient:
        self._link = await LinkClient.open(self._port)
        try:
            await self._link.hello(timeout_s=1.0, tries=6)
        except PeerSilent:
            await self._link.close()
            raise
        return self._link

    async def __aexit__(self, *_: object) -> None:
        await self._link.close()
