"""Commands for a fleet of control boxes while SMGW, aEMT and lines are killed at random instants.

Each box gets begin, end, begin, end as fast as it answers; a command that got no answer is given
again under the same UUID, as an operator would. Judges nothing: that is `commands_verdict`'s.
"""

import asyncio
import random
import time
import uuid as uuidlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from clsbench.bench.fleet import Box, Fleet
from clsbench.errors import ClsbenchError, EnvironmentProblem, PeerRefused, PeerSilent

SMGW, EMT, LINK = "SMGW", "aEMT", "link"
SHARES = {SMGW: 2, EMT: 2, LINK: 6}  # of the kills
CALM_SHARE = 50  # one command of so many goes to one box before anything is killed
CALM_PAUSE_S = 0.4  # so that each of these has its records delivered before the next
GIVE_UP_S = 180.0  # a command without an answer for so long ends the run
READY_S = 60.0
LINK_DOWN_S = (0.0, 1.0)
RESTART_PAUSE_S = 0.05


@dataclass
class Given:
    """One command as it was given. code: the box's answer, None where none came; refusal: a
    role's final no. calm: given while nothing was being killed."""

    cls_id: str
    uuid: str
    action: str
    code: int | None = None
    refusal: str = ""
    tries: int = 0
    calm: bool = False


@dataclass
class Course:
    """What was given and what was killed."""

    given: list[Given] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


class Storm:
    """Gives `commands` commands to a started fleet and kills parts `kills` times."""

    def __init__(self, fleet: Fleet, chance: random.Random, commands: int, kills: int):
        self.course = Course()
        self._fleet = fleet
        self._chance = chance
        self._pairs = commands // 2
        self._kills = kills
        self._answered = 0
        self._progress = asyncio.Event()
        self._over = False

    def stop(self) -> None:
        """No transaction is begun any more."""
        self._over = True

    async def run(self, say: Callable[[str], None]) -> Course:
        """Returns when every command has its answer, or nobody gave one for GIVE_UP_S."""
        await asyncio.gather(*(self._ready(box) for box in self._fleet.boxes))
        begun = time.monotonic()
        calm = max(1, self._pairs // CALM_SHARE)
        await self._serve(self._fleet.boxes[0], iter(range(calm)), calm=True)
        say(f"{calm} transactions undisturbed in {time.monotonic() - begun:.0f} s")
        left = iter(range(self._pairs - calm))
        breaking = asyncio.create_task(self._break(say))
        try:
            await asyncio.gather(
                *(self._serve(box, left, calm=False) for box in self._fleet.boxes)
            )
        finally:
            self._over = True
            self._progress.set()
            await breaking
        self.course.seconds = time.monotonic() - begun
        return self.course

    async def _ready(self, box: Box) -> None:
        """A box has legal time and a healthy meter when its first transaction goes through."""
        deadline = time.monotonic() + READY_S
        while True:
            uuid = str(uuidlib.uuid4())
            begin = await self._give(Given(box.cls_id, uuid, "begin"))
            if begin.code == 0:
                await self._give(Given(box.cls_id, uuid, "end"))
                return
            if time.monotonic() > deadline:
                raise PeerSilent(f"{box.cls_id} is not ready after {READY_S:g} s: {begin}")
            await asyncio.sleep(0.2)

    async def _serve(self, box: Box, left: Iterator[int], calm: bool) -> None:
        for _ in left:
            if self._over:
                return
            uuid = str(uuidlib.UUID(int=self._chance.getrandbits(128), version=4))
            for action in ("begin", "end"):
                if (await self._give(Given(box.cls_id, uuid, action, calm=calm))).code != 0:
                    break
                await asyncio.sleep(CALM_PAUSE_S * calm)

    async def _give(self, one: Given) -> Given:
        self.course.given.append(one)
        deadline = time.monotonic() + GIVE_UP_S
        operator = self._fleet.operator
        while time.monotonic() < deadline:
            one.tries += 1
            try:
                answer = await operator.switch(one.cls_id, one.action, uuid=one.uuid, text="storm")
            except PeerRefused as error:
                one.refusal = str(error)
                break
            except (PeerSilent, EnvironmentProblem):
                await asyncio.sleep(0.1)
            else:
                one.code = answer["code"]
                break
        self._answered += 1
        self._progress.set()
        return one

    async def _break(self, say: Callable[[str], None]) -> None:
        begun, first = time.monotonic(), self._answered
        rest = max(1, 2 * self._pairs - first)
        marks = sorted(self._chance.sample(range(rest * 19 // 20), self._kills))
        for number, mark in enumerate(marks, 1):
            while self._answered < first + mark and not self._over:
                self._progress.clear()
                await self._progress.wait()
            if self._over:
                return
            await asyncio.sleep(self._chance.random() * 0.1)
            await self._kill(self._chance.choices(list(SHARES), list(SHARES.values()))[0])
            if number % 5 == 0:
                seconds = time.monotonic() - begun
                say(f"{self._answered} commands, {number} kills, {seconds:.0f} s")

    async def _kill(self, what: str) -> None:
        self.course.kills[what] += 1
        if what == LINK:
            box = self._chance.choice(self._fleet.boxes)
            box.cut()
            await asyncio.sleep(self._chance.uniform(*LINK_DOWN_S))
            box.mend()
            return
        role = "smgw" if what == SMGW else "emt"
        await self._fleet.roles[role].kill()
        await asyncio.sleep(RESTART_PAUSE_S)
        await self._fleet.start_role(role)


async def settle(fleet: Fleet, within_s: float = 120.0) -> None:
    """Waits until the aEMT holds as many records of each box, and of the gateway, as in the last
    look, three times. Raises PeerSilent."""
    deadline, before, same = time.monotonic() + within_s, None, 0
    while time.monotonic() < deadline:
        await asyncio.sleep(0.7)
        try:
            now = await fleet.operator.status()
        except ClsbenchError:
            continue
        same = same + 1 if now["stored"] == before else 0
        before = now["stored"]
        if same == 3:
            return
    raise PeerSilent(f"records still come in after {within_s:g} s")
