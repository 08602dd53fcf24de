"""Updates of an emulated board whose supply is cut at a random instant of each.

In board time: the cut falls anywhere between two instructions, also into an erase or a program of
the flash, which it tears. What must come of each is that of `clsbench.bench.updates`.
"""

import random
import uuid as uuidlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from clsbench.bench.updates import BROKEN, SOUND, Course
from clsbench.device.records import DeviceRecord, check_chain
from clsbench.device.update import SlotState
from clsbench.device.update_manifest import Manifest
from clsbench.errors import PeerRefused, PeerSilent
from clsbench.hil.benching import Bench
from clsbench.hil.updating import Updating

if TYPE_CHECKING:
    from clsbench.hil.rp2040.board import Rp2040Board  # an extra

KINDS = (*[SOUND] * 5, *(kind for kind in BROKEN if kind != "bus"))  # its UART cannot be replaced
TRIAL_S = 4
_CUT_SPANS_S = (6.0, 12.0)  # from the begin of an update: while it is staged, or on trial
_RESOLVED_S = 300.0
_GREET_S = 60.0
_AGAIN_S = 0.5
_LOOK_BACK = 20  # records that are looked at again each time; all of them at the end


class UpdateCampaign:
    """bench: started, with `TRIAL_S` in its settings. work: a folder of its own."""

    def __init__(self, bench: Bench, board: "Rp2040Board", work: Path, chance: random.Random):
        self.course = Course()
        self._bench = bench
        self._board = board
        self._updating = Updating(bench, work)
        self._chance = chance
        state = self._updating.state()
        self._number = max(state.version, state.failed)
        self._named = bench.link.hello()["version"]
        self._in_force = state.version
        self._seen: dict[int, bytes] = {}

    def update(self, kind: str) -> str:
        """One update with a cut, repeated as a user would until it is in force or taken back; how
        it ended."""
        self._number += 1 + self._chance.randrange(3)
        manifest = self._updating.manifest(self._number, BROKEN.get(kind, ""))
        self.course.updates += 1
        span_s = self._chance.choice(_CUT_SPANS_S)
        self._board.cut_at(self._board.now() + self._chance.random() * span_s)
        state = self._resolve(manifest, kind)
        self.course.cuts += not self._board.cut_at(None)  # none is left for later
        ready = self._bench.ready(_GREET_S)
        return self._judge(kind, state, ready["meter"]["healthy"])

    def _resolve(self, manifest: Manifest, kind: str) -> SlotState:
        until = self._board.now() + _RESOLVED_S
        first = True
        while self._board.now() < until:
            try:
                self._bench.greet(_GREET_S)
                state = self._updating.state()
                if manifest.version in (state.version, state.failed):
                    return state
                if not state.trial:
                    self.course.begun_again += not first
                    first = False
                    self._updating.stage(manifest)
                    self._updating.finish()
                elif kind != "time":
                    self._bench.set_time()
            except (PeerSilent, PeerRefused):
                pass  # cut off, or not yet: the next turn asks the device what became of it
            self._nap()
        raise PeerSilent(f"version {manifest.version} came to no end in {_RESOLVED_S:g} s")

    def _nap(self) -> None:
        with suppress(PeerSilent):  # the cut may fall into it
            self._board.sleep(_AGAIN_S)

    def _judge(self, kind: str, state: SlotState, is_healthy: bool) -> str:
        findings = self.course.findings
        good = state.version == self._number
        if good != (kind == SOUND) and not (kind == SOUND and state.why == "power"):
            findings.append(f"version {self._number}, {kind}: ended as {state}")
        if good:
            self._in_force, self._named = self._number, f"0.{self._number}.0"
        elif state.version != self._in_force:
            findings.append(f"back to {state.version}, not to {self._in_force}")
        named = self._bench.link.hello()["version"]
        if named != self._named:
            findings.append(f"runs {named}, not {self._named}")
        if not is_healthy:
            findings.append(f"version {self._number}: no meter at its end")
        name = f"{kind}, {'in force' if good else f'back: {state.why}'}"
        self.course.ends[name] = self.course.ends.get(name, 0) + 1
        return name

    def run(self, updates: int, say: Callable[[str], None]) -> Course:
        """So many, with a transaction before each; `say` is told how each ended."""
        for turn in range(updates):
            self.switch()
            end = self.update(self._chance.choice(KINDS))
            say(f"{turn + 1}/{updates} {end}: {self.course.findings or 'as it must'}")
        self.look_at_records(whole=True)
        return self.course

    # records

    def switch(self) -> None:
        """A whole transaction, so that there are records to be lost."""
        uuid = self._bench.transaction()
        text = str(uuidlib.UUID(bytes=uuid))
        found = [each.event for each in self.look_at_records() if each.uuid == text]
        if found != ["begin", "end"]:
            self.course.findings.append(f"transaction {text} has records {found}")

    def look_at_records(self, whole: bool = False) -> list[DeviceRecord]:
        """Every record seen before is there as it was, and the chain holds; those looked at."""
        first = 1 if whole else max(1, max(self._seen, default=1) - _LOOK_BACK)
        found = self._bench.records(first)
        held = {record.seq: record.sealed for record in found}
        for seq, sealed in self._seen.items():
            if seq >= first and held.get(seq) != sealed:
                self.course.findings.append(f"record {seq} is gone or another")
        self.course.findings += [str(each) for each in check_chain(found)]
        self._seen |= held
        self.course.records = len(self._seen)
        return found
