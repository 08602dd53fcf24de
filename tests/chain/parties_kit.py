"""GWAs, EMTs and SMGWs as processes in one PKI, each SMGW with a base meter on a pty.

Control boxes are HTTPS clients in the test: they fetch a command and answer it.
"""

import asyncio
import contextlib
import shutil
import tempfile
import uuid as uuidlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from clsbench.bench.configs import toml_text
from clsbench.bench.roles import RoleProcess
from clsbench.clock import BenchClock
from clsbench.emt.operator import OperatorClient
from clsbench.errors import ClsbenchError
from clsbench.eventlog import read_events
from clsbench.meters.pty_meter import PtyMeter
from clsbench.net.operator import OperatorAsker
from clsbench.net.tls import han_client
from clsbench.pki.layout import Pki

CLS = "ETST0020000017"
METER = "1EMH0098765432"
OWN_GWA, FOREIGN_GWA = "gwa-own", "gwa-foreign"
SMGW, FOREIGN_SMGW = "ETST0010000001", "ETST0010000002"
ACTIVE, OTHER, PASSIVE = "flexmarkt", "netz", "lieferant"
PUSH_S = 0.03


class Parties:
    """Roles by name. `socket(name)`: a role's operator socket. speed: of the bench's clock.
    meters: one for each gateway, as they were started; their registers rise all the time."""

    def __init__(self, work: Path, short: str, speed: int = 1):
        self.clock = BenchClock(speed)
        self.work = work
        self.short = short
        self.roles: dict[str, RoleProcess] = {}
        self.pki = Pki.init(work / "pki", SMGW, OWN_GWA, [ACTIVE, OTHER, PASSIVE], [CLS])
        self.meters: list[PtyMeter] = []
        self._pushing = asyncio.create_task(self._push())

    def socket(self, name: str) -> str:
        return f"{self.short}/{name}"

    def foreign_pki(self, party: str, name: str, role: str) -> Path:
        """The PKI with another GWA or SMGW in the place of its own."""
        folder = self.work / f"pki-{name}"
        if not folder.exists():
            shutil.copytree(self.pki.directory, folder)
            shutil.rmtree(folder / party)
            (folder / party).mkdir(mode=0o700)
            for purpose in ("tls", "enc", "sig"):
                self.pki.issue_wan_to(folder / party, f"{name}.{role}", purpose)
        return folder

    async def gwa(self, name: str = OWN_GWA, smgw: str = SMGW, emts: tuple = (ACTIVE,)) -> None:
        own = name == OWN_GWA
        pki = self.pki.directory if own else self.foreign_pki("gwa", name, "GWA")
        tables = [("[gwa]", self._head(name)), ("[pki]", {"dir": str(pki)})]
        tables.append(("[[smgw]]", {"id": smgw}))
        tables += [("[[emt]]", {"name": emt, "smgw_ids": [smgw]}) for emt in emts]
        await self._start("gwa", name, tables)

    async def emt(self, name: str, *tables: tuple[str, dict]) -> None:
        head = [("[emt]", self._head(name)), ("[pki]", {"dir": str(self.pki.directory)})]
        await self._start("emt", name, [*head, *tables])

    def gwa_section(self, name: str = OWN_GWA, **more: Any) -> dict:
        return {"name": name, "service_port": self.roles[name].ports["service"], **more}

    def emt_profile(self, name: str, **more: Any) -> dict:
        ports = self.roles[name].ports
        places = {"channel_port": ports["channel"], "delivery_port": ports["delivery"]}
        return {"name": name, **places, **more}

    async def smgw(self, *tables: tuple[str, dict], name: str = SMGW, gwa: str = OWN_GWA) -> None:
        """A gateway with one meter and one box; `tables`: its profiles."""
        own = name == SMGW
        pki = self.pki.directory if own else self.foreign_pki("smgw", name, "SMGW")
        meter = PtyMeter(METER, self.clock)
        self.meters.append(meter)
        state = {"id": name, "state_dir": str(self.work / name), "clock": self.clock.spec()}
        head = [
            ("[smgw]", state | {"event_log": str(self.work / "events.jsonl")}),
            ("[pki]", {"dir": str(pki)}),
            ("[gwa]", {"name": gwa, "port": self.roles[gwa].ports["management"]}),
            ("[timing]", {"command_s": 20, "event_s": 20, "connect_s": 20, "retry_max_s": 0.5}),
            ("[[lmn]]", {"port": meter.port, "meter_id": METER}),
            ("[[cls]]", {"cls_id": CLS}),
        ]
        await self._start("smgw", name, [*head, *tables])
        async with self.gwa_operator(gwa) as operator:
            await until_answer(lambda: operator.ask("GET", "/status"))

    def gwa_operator(self, name: str = OWN_GWA) -> OperatorAsker:
        return OperatorAsker("gwa", self.socket(name))

    def emt_operator(self, name: str = ACTIVE) -> OperatorClient:
        return OperatorClient(self.socket(name), 60)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [e for e in read_events(self.work / "events.jsonl") if e["name"] == name]

    @contextlib.asynccontextmanager
    async def box(self, smgw: str = SMGW) -> AsyncIterator[list[dict[str, Any]]]:
        """A control box that does what it is told; gives the commands it got."""
        got: list[dict[str, Any]] = []
        task = asyncio.create_task(self._box(self.roles[smgw].ports["han"], got))
        try:
            yield got
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        self._pushing.cancel()
        for role in self.roles.values():
            await role.stop()
        for meter in self.meters:
            meter.close()

    async def _box(self, port: int, got: list[dict[str, Any]]) -> None:
        context = han_client(self.pki.cls(CLS), self.pki.han_trust)
        base = f"https://127.0.0.1:{port}/smgw/cls/v1/rts/command/"
        connector = aiohttp.TCPConnector(ssl=context, limit=1)
        async with aiohttp.ClientSession(connector=connector) as session:
            while True:
                try:
                    async with session.get(base, params={"wait_ms": "2000"}) as answer:
                        command = await answer.json() if answer.status == 200 else None
                    if command is not None:
                        got.append(command)
                        done = {"code": 0, "seq": len(got), "text": ""}
                        async with session.post(base + command["id"], json=done):
                            pass
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)

    def _head(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "state_dir": str(self.work / name),
            "clock": self.clock.spec(),
            "event_log": str(self.work / "events.jsonl"),
            "operator_socket": self.socket(name),
        }

    async def _start(self, role: str, name: str, tables: list) -> None:
        config = self.work / f"{name}.toml"
        config.write_text(toml_text(tables))
        self.roles[name] = RoleProcess(role, config, self.work / f"{name}.log")
        await self.roles[name].start()

    async def _push(self) -> None:
        while True:
            for meter in self.meters:
                meter.push()
            await asyncio.sleep(PUSH_S)


def taf16(name: str, emt: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """A TAF16 profile of the one meter and the one box."""
    fields = {"id": name, "number": 16, "meter_id": METER, "final_consumer": "c", "emt": emt}
    return "[[taf]]", fields | {"event_sources": [CLS], "wan_source": True} | more


def box_entry(profile: str, smgw: str = SMGW) -> tuple[str, dict[str, Any]]:
    """The box as an aEMT has it in its configuration."""
    return "[[cls]]", {"cls_id": CLS, "smgw_id": smgw, "taf_profile": profile}


def new_uuid() -> str:
    return str(uuidlib.uuid4())


async def until_answer(ask, seconds: float = 30.0) -> Any:
    """The first answer of `ask()` that is no error and not empty."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            if found := await ask():
                return found
        except ClsbenchError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"no answer in {seconds:g} s") from error
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"nothing came in {seconds:g} s")
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def parties(work: Path, speed: int = 1) -> AsyncIterator[Parties]:
    """Nothing running yet; everything that was started is ended. Sockets need short paths."""
    with tempfile.TemporaryDirectory(prefix="clsb") as short:
        made = Parties(work, short, speed)
        try:
            yield made
        finally:
            await made.close()
