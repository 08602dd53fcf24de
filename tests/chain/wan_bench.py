"""GWA, aEMT and the edge of one SMGW, running in this process on loopback ports."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from wan_edge import EMT, GWA, SMGW, EdgeSmgw, emt_config, gwa_config, post, until

from clsbench.emt.operator import OperatorClient
from clsbench.emt.service import EmtService
from clsbench.eventlog import read_events
from clsbench.gwa.service import GwaService
from clsbench.net.tls import wan_client
from clsbench.pki.layout import Pki

ORDER = {"smgw_id": SMGW, "emt_id": EMT}


class Wan:
    """GWA, aEMT and one SMGW's edge, running; each can be stopped and started again."""

    def __init__(self, pki: Pki, folder: Path, socket: str):
        self.pki = pki
        self.folder = folder
        self.socket = socket
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        self.gwa = GwaService(gwa_config(self.pki, self.folder))
        self.gwa_ports = await self.gwa.start()
        await self.start_emt()
        self.operator = await self._stack.enter_async_context(OperatorClient(self.socket, 20))
        self.smgw = EdgeSmgw(
            self.pki,
            self.gwa_ports["management"],
            self.emt_ports["channel"],
            self.emt_ports["delivery"],
        )
        self.smgw.start()
        await until(lambda: ("GWA", True) in self.smgw.states)

    async def start_emt(self) -> None:
        config = emt_config(self.pki, self.folder, self.gwa_ports["service"], self.socket)
        self.emt = EmtService(config)
        self.emt_ports = await self.emt.start()

    async def restart_gwa(self) -> None:
        await self.gwa.stop()
        self.gwa = GwaService(gwa_config(self.pki, self.folder, self.gwa_ports))
        await self.gwa.start()

    async def restart_smgw(self) -> None:
        await self.smgw.stop()
        self.smgw.told.clear()
        self.smgw.start()

    async def stop(self) -> None:
        await self._stack.aclose()
        await self.smgw.stop()
        await self.emt.stop()
        await self.gwa.stop()

    def events(self, name: str) -> list[dict]:
        return [event for event in read_events(self.folder / "events") if event["name"] == name]

    async def order(self, triplet, content=None, path="/gwa/v1/connect"):
        """A request to the GWA's service port with any WAN certificate."""
        context = wan_client(triplet.tls, self.pki.wan_trust)
        port = self.gwa_ports["service"]
        return await post("GWA", GWA, port, context, path, content=content or ORDER)


@asynccontextmanager
async def running(pki: Pki, folder: Path) -> AsyncIterator[Wan]:
    """A started Wan. Its socket lies in a folder of its own: such a path must be short."""
    with tempfile.TemporaryDirectory(prefix="emt") as short:
        wan = Wan(pki, folder, f"{short}/op")
        await wan.start()
        yield wan
        await wan.stop()
