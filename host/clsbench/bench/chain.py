"""The whole chain on one machine: test PKI, GWA, aEMT, SMGW, plant and a DICAMM on a board.

Each role is a process of its own on loopback; the board runs the real firmware. Used by the
demo and by the chain tests, which kill parts of it and bring them back.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from clsbench.bench.channel import device_setting, free_port
from clsbench.bench.configs import Names, emt_toml, gwa_toml, smgw_toml
from clsbench.bench.plant import BenchPlant
from clsbench.bench.roles import RoleProcess
from clsbench.clock import BenchClock
from clsbench.device.build import build_firmware
from clsbench.device.flash import flash
from clsbench.device.provision import DeviceConfig, device_files, record_key
from clsbench.emt.operator import OperatorClient
from clsbench.eventlog import EventLog
from clsbench.hil.unix_board import UnixBoard
from clsbench.pki.layout import Pki


@dataclass
class ChainOptions:
    """speed: bench seconds per second. scenario, capture: see `BenchPlant`. heap: of the board's
    interpreter. paced False: the buses do not keep their baud rate (for soak tests). channel:
    who opens the CLS channel, see `bench.channel`; "": commands go through the gateway. ntp:
    the gateway takes legal time from the GWA's time server, with these keys in its [time]
    section; None: it claims the bench's."""

    speed: int = 1
    scenario: str = "plant"
    capture: Path | None = None
    heap: str = "384k"
    paced: bool = True
    device: dict[str, object] | None = None
    env: dict[str, str] | None = None  # of the board's interpreter
    channel: str = ""
    ntp: dict[str, object] | None = None


class Chain:
    """work: directory for state, keys and logs of the parts (made; private keys are 0600).
    clock: of the bench, where it is not simply `options.speed` times as fast as the wall's.

    After `start`: `operator` (the aEMT's interface), `board`, `plant`, `roles`.
    """

    def __init__(
        self,
        work: Path,
        events_path: Path,
        options: ChainOptions,
        clock: BenchClock | None = None,
    ):
        self.work = work
        self.events_path = events_path
        self.options = options
        self.names = Names()
        self.clock = clock or BenchClock(speed=options.speed)
        self.events = EventLog(events_path, self.clock, "bench")
        self.roles: dict[str, RoleProcess] = {}
        self.box_port = free_port()  # where the box waits for the gateway, if it does
        work.mkdir(parents=True, exist_ok=True)
        self._sockets = Path(tempfile.mkdtemp(prefix="clsbench-"))
        self.operator_socket = str(self._sockets / "emt")
        self.gwa_socket = str(self._sockets / "gwa")
        self.operator = OperatorClient(self.operator_socket)
        self.plant = BenchPlant(
            self.clock,
            self.events,
            scenario=options.scenario,
            capture=options.capture,
            paced=options.paced,
            lmn_meter_id=self.names.lmn_meter,
        )
        self.board = UnixBoard(
            work / "board",
            heap=options.heap,
            speed=options.speed,
            uarts={0: self.plant.bus_path},
            on_pin=self.plant.on_pin,
            env=options.env,
        )

    @property
    def key_file(self) -> Path:
        """The device's record key on the host."""
        return self.work / "records.key"

    @property
    def pki(self) -> Pki:
        """The test PKI of this chain."""
        return Pki.open(self.work / "pki")

    async def start(self) -> None:
        """Brings everything up in the order GWA, aEMT, SMGW, meters, DICAMM."""
        names = self.names
        Pki.init(
            self.work / "pki",
            smgw_id=names.smgw,
            gwa_name=names.gwa,
            emt_names=[names.emt],
            cls_ids=[names.cls],
        )
        record_key(self.key_file)
        await self.start_role("gwa")
        await self.start_role("emt")
        await self.start_role("smgw")
        self.plant.start()  # behind the gateway, which so hears whole telegrams from the first
        self.board.start()
        self.flash()
        await self.operator.__aenter__()

    async def start_role(self, role: str) -> None:
        """Starts a role, or starts it again on the ports it had."""
        known = self.roles.get(role)
        config = self.work / f"{role}.toml"
        config.write_text(self._config(role, known.ports if known else {}))
        process = RoleProcess(role, config, self.work / f"{role}.log")
        self.roles[role] = process
        await process.start()

    def han_port(self) -> int:
        """Where the device finds its gateway; 0 without one."""
        gateway = self.roles.get("smgw")
        return gateway.ports["han"] if gateway else 0

    def flash(self) -> None:
        """Puts firmware and provisioning on the board, as on any board; main.py runs then."""
        gateway = self.roles.get("smgw")
        device = DeviceConfig(
            device_id=self.names.cls,
            cls_id=self.names.cls,
            meter_id=self.names.mid_meter,
            gateway_host="127.0.0.1" if gateway else "",
            gateway_port=self.han_port(),
            gateway_name=f"{self.names.smgw.lower()}.sm",
            extra=device_setting(self) | (self.options.device or {}),
        )
        firmware = build_firmware("unix", self.work / "firmware")
        flash(self.board.path, firmware + device_files(device, self.pki, self.key_file))

    async def close(self) -> None:
        """Ends every part; state stays in `work`."""
        await self.operator.__aexit__(None, None, None)
        self.board.close()
        for role in ("smgw", "emt", "gwa"):
            if role in self.roles:
                await self.roles[role].stop()
        self.plant.stop()
        self.events.close()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _config(self, role: str, ports: dict[str, int]) -> str:
        if role == "gwa":
            return gwa_toml(self, ports)
        if role == "emt":
            return emt_toml(self, ports)
        return smgw_toml(self, ports)
