"""The demo's chain under faults: transactions go on while parts die and lines misbehave.

Who is killed, which line is hurt and when is chance from a seed. Judges nothing: what was
commanded and what was done to the chain is handed to `chaos_verdict`.
"""

import asyncio
import random
import re
import time
import uuid as uuidlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from clsbench.bench.bad_lines import MODES, BadConsole, BadTcpLine
from clsbench.bench.chain import Chain, ChainOptions
from clsbench.device.link import COMMAND, LinkClient
from clsbench.errors import ClsbenchError, EnvironmentProblem, PeerRefused, PeerSilent
from dicamm import codes

SPEED = 30  # a quarter hour of the bench in 30 s
COMMAND_WITHIN_S = 120.0
HOLDS_S = ((0.0, 0.2), (1.0, 2.5))  # how long a transaction lasts: mostly, and some longer
START_TRIES = 4
CONSOLE_SHARE = 0.25  # of the transactions are commanded over the bench link
STEPS_MS = (2_000, 40_000, 1_200_000, -2_000, -40_000, -1_200_000)
TIMING = "\n[timing]\ncommand_s = 5\nretry_max_s = 1\n"


@dataclass
class Commanded:
    """A transaction as it was commanded. begin, end: the device's code, None where no answer came
    in time; refusal: a role's final no to the begin."""

    uuid: str
    begin: int | None = None
    end: int | None = None
    refusal: str = ""


@dataclass
class Course:
    """What happened: commanded, and faults done, by kind."""

    commanded: list[Commanded] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    back_steps: int = 0
    cleared: int = 0  # transactions that a begin out of time had opened
    seconds: float = 0.0


class ChaosChain(Chain):
    """A chain whose lines misbehave on order, and whose gateway's clock can be stepped."""

    def __init__(self, work: Path, events: Path, chance: random.Random):
        device: dict[str, object] = {"baud": 115200, "poll_ms": 50}
        super().__init__(work, events, ChainOptions(speed=SPEED, paced=False, device=device))
        self.line = BadTcpLine(self._gateway_port, chance)
        self.console: BadConsole | None = None
        self.offset_ms = 0
        self._chance = chance

    async def start(self) -> None:
        """As `Chain.start`, behind the lines."""
        await self.line.start()
        await super().start()
        self.console = BadConsole(self.board.path, self._chance)

    async def close(self) -> None:
        """Ends the lines too."""
        if self.console is not None:
            self.console.close()
        await super().close()
        await self.line.close()

    def han_port(self) -> int:
        """The line's."""
        return self.line.port

    def _gateway_port(self) -> int:
        gateway = self.roles.get("smgw")
        return gateway.ports.get("han", 0) if gateway else 0

    def _config(self, role: str, ports: dict[str, int]) -> str:
        text = super()._config(role, ports)
        if role != "smgw":
            return text
        stepped = f"utc_ms={self.clock.utc_ms + self.offset_ms},"
        return re.sub(r"utc_ms=\d+,", stepped, text) + TIMING


class Chaos:
    """Runs transactions on a started chain while faults come and go.

    gap_s: least and most real time between two faults; roles False: gateway and aEMT are spared,
    whose starts take seconds.
    """

    def __init__(
        self,
        chain: ChaosChain,
        chance: random.Random,
        gap_s: tuple[float, float],
        roles: bool = True,
    ):
        self.course = Course()
        self._chain = chain
        self._chance = chance
        self._gap_s = gap_s
        self._roles = roles
        self._link: LinkClient | None = None
        self._over = asyncio.Event()

    async def run(self, transactions: int, say: Callable[[str], None]) -> Course:
        """Returns when all are commanded and the chain is whole again; say: shows progress."""
        console = self._chain.console
        assert console is not None
        self._link = await LinkClient.open(console.path)
        begun = time.monotonic()
        faults = asyncio.create_task(self._faults())
        try:
            for number in range(1, transactions + 1):
                if self._over.is_set():
                    break
                self.course.commanded.append(await self._transaction())
                if faults.done():
                    faults.result()
                if number % 50 == 0:
                    say(f"{number} transactions, {time.monotonic() - begun:.0f} s")
        finally:
            self._over.set()  # what has begun comes to its end: nothing is left half started
            await asyncio.gather(faults, return_exceptions=True)
            await self._link.close()
        self.course.seconds = time.monotonic() - begun
        return self.course

    def stop(self) -> None:
        """No transaction is begun any more; what was commanded is judged."""
        self._over.set()

    # commands

    async def _transaction(self) -> Commanded:
        one = Commanded(str(uuidlib.UUID(int=self._chance.getrandbits(128), version=4)))
        by_console = self._chance.random() < CONSOLE_SHARE
        send = self._over_console if by_console else self._over_market
        try:
            one.begin = await self._until_answered(send, "begin", one.uuid)
        except PeerRefused as error:
            one.refusal = str(error)
        if one.begin == codes.OTHER_OPEN:
            await self._clear()
        if one.begin in (codes.OK, None) and not one.refusal:
            await asyncio.sleep(self._chance.uniform(*self._chance.choices(HOLDS_S, (9, 1))[0]))
            try:
                one.end = await self._until_answered(send, "end", one.uuid)
            except PeerRefused as error:
                one.refusal = str(error)
        else:
            await asyncio.sleep(0.1)
        return one

    async def _until_answered(
        self, send: Callable[[str, str], Awaitable[int]], action: str, uuid: str
    ) -> int | None:
        deadline = time.monotonic() + COMMAND_WITHIN_S
        while time.monotonic() < deadline:
            try:
                return await send(action, uuid)
            except (PeerSilent, EnvironmentProblem):
                await asyncio.sleep(0.1)
        return None

    async def _over_market(self, action: str, uuid: str) -> int:
        chain = self._chain
        answer = await chain.operator.switch(chain.names.cls, action, uuid=uuid, text="chaos")
        return answer["code"]

    async def _over_console(self, action: str, uuid: str) -> int:
        assert self._link is not None
        message = {0: COMMAND, 2: action, 3: uuidlib.UUID(uuid).bytes, 4: "chaos", 5: None}
        return (await self._link.request(message, timeout_s=1.0, tries=2))[2]

    async def _clear(self) -> None:
        """Ends a transaction that is open although nobody waits for it any more."""
        assert self._link is not None
        try:
            uuid = (await self._link.status())["open_uuid"]
        except ClsbenchError:
            return
        if uuid is not None:
            self.course.cleared += 1
            await self._until_answered(self._over_console, "end", uuid)

    # faults

    async def _faults(self) -> None:
        kinds = {
            self._kill_firmware: 14,
            self._kill_gateway: 4 * self._roles,
            self._kill_market: 1 * self._roles,
            self._step_clock: 2 * self._roles,
            self._cut_line: 6,
            self._hurt_line: 12,
            self._hurt_console: 8,
            self._silence_meter: 5,
        }
        while not self._over.is_set():
            await asyncio.sleep(self._chance.uniform(*self._gap_s))
            await self._chance.choices(list(kinds), list(kinds.values()))[0]()

    async def _kill_firmware(self) -> None:
        self.course.kills["firmware"] += 1
        board = self._chain.board
        boots = board.boots
        board.power_cut(self._chance.choice((0.0, 0.2)))
        await asyncio.to_thread(board.wait_for_boot, boots + 1)

    async def _kill_gateway(self) -> None:
        self.course.kills["gateway"] += 1
        await self._restart("smgw")

    async def _kill_market(self) -> None:
        self.course.kills["aEMT"] += 1
        await self._restart("emt")

    async def _step_clock(self) -> None:
        self.course.faults["clock stepped"] += 1
        before = self._chain.offset_ms
        self._chain.offset_ms = self._chance.choice(STEPS_MS)
        self.course.back_steps += self._chain.offset_ms < before
        await self._restart("smgw")

    async def _restart(self, role: str) -> None:
        await self._chain.roles[role].kill()
        for _ in range(START_TRIES - 1):
            try:
                return await self._chain.start_role(role)
            except EnvironmentProblem:
                self.course.faults["slow start"] += 1  # the machine is busy elsewhere
        return await self._chain.start_role(role)

    async def _cut_line(self) -> None:
        self.course.faults["line cut"] += 1
        self._chain.line.cut()
        await asyncio.sleep(self._chance.uniform(0.0, 1.0))
        self._chain.line.mend()

    async def _hurt_line(self) -> None:
        mode = self._chance.choice(MODES)
        self.course.faults[f"line {mode}"] += 1
        self._chain.line.mangler.mode = mode
        await asyncio.sleep(self._chance.uniform(0.1, 1.0))
        self._chain.line.mend()
        if mode == "drop":  # nobody would notice before a time-out
            self._chain.line.cut()
            self._chain.line.mend()

    async def _hurt_console(self) -> None:
        assert self._chain.console is not None
        mode = self._chance.choice(MODES)
        self.course.faults[f"console {mode}"] += 1
        self._chain.console.mangler.mode = mode
        await asyncio.sleep(self._chance.uniform(0.1, 0.6))
        self._chain.console.mangler.mode = None

    async def _silence_meter(self) -> None:
        self.course.faults["meter silent"] += 1
        self._chain.plant.meter.set_faults(silent=True)
        await asyncio.sleep(self._chance.uniform(0.1, 2.0))
        self._chain.plant.meter.set_faults()
