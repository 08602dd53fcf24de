"""Several control boxes behind one SMGW, with GWA and aEMT, as processes that can be killed.

Every box is a board of its own running the firmware, with its own MID meter on its own bus and
its own line to the gateway, which can be cut. One base meter on the LMN counts them all. Knows
how to start and break the parts; gives no command.
"""

import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from clsbench.bench.bad_lines import BadTcpLine
from clsbench.bench.configs import Names, toml_text
from clsbench.bench.plant import LMN_BAUD, LMN_SCALER, LMN_START_WH, MID_START_WH, PIN_RELAY
from clsbench.bench.roles import RoleProcess
from clsbench.clock import BenchClock
from clsbench.device.build import build_firmware
from clsbench.device.flash import flash
from clsbench.device.provision import DeviceConfig, device_files, record_key
from clsbench.emt.operator import OperatorClient
from clsbench.errors import EnvironmentProblem
from clsbench.hil.unix_board import UnixBoard
from clsbench.meters.line import SerialLine
from clsbench.meters.lmn_meter import LmnMeter
from clsbench.meters.load import Feeder, HeatingRod, Plant
from clsbench.meters.modbus_server import ModbusMeter
from clsbench.meters.registers import MeterValues
from clsbench.pki.layout import Pki

WATER_MC = 10_000  # cold enough to draw power for as long as a run lasts
TELEGRAM_MS = 40  # real time between telegrams of the base meter
START_TRIES = 4
BUS_BAUD = 115_200
SMGW, CHANNEL = "smgw", "channel"
PORTS = ("han", "socks")  # of the gateway, each with a line from each box


class Box:
    """One control box: board, bus, MID meter, lines to the gateway (HAN, and SOCKS-TLS).

    edges: (time.monotonic_ns, closed) of every change of the relay, in order.
    """

    def __init__(
        self, number: int, work: Path, clock: BenchClock, line: BadTcpLine, socks: BadTcpLine
    ):
        self.cls_id = f"ETST0020{number:06d}"
        self.meter_id = f"1EAS{number:010d}"
        self.key_file = work / f"{self.cls_id}.key"
        self.server_name = f"aemt.box{number}"
        self._lines = (line, socks)
        self.edges: list[tuple[int, bool]] = []
        rod = HeatingRod(start_ms=clock.now_ms(), water_mc=WATER_MC)
        self.plant = Plant(rod, {"mid": Feeder([rod])})
        self._clock = clock
        self._bus = SerialLine(baud=BUS_BAUD, paced=False)
        self._meter = ModbusMeter(
            self.plant, port=self._bus.b_path, clock=clock, start_wh=MID_START_WH
        )
        self.board = UnixBoard(
            work / self.cls_id, uarts={0: self._bus.a_path}, on_pin=self._on_pin
        )

    async def open_lines(self) -> None:
        """Opens both lines; they lead to the gateway once it is there."""
        for line in self._lines:
            await line.start()

    def cut(self) -> None:
        """Breaks both lines until `mend`."""
        for line in self._lines:
            line.cut()

    def mend(self) -> None:
        """The lines pass again."""
        for line in self._lines:
            line.mend()

    def start(
        self, firmware: list[tuple[str, bytes]], pki: Pki, gateway_name: str, via: str
    ) -> None:
        """Meter, board, firmware and provisioning; main.py runs then."""
        self._meter.start()
        self.board.start()
        line, socks = self._lines
        channel = {"channel": {"name": self.server_name, "port": socks.port}}
        device = DeviceConfig(
            device_id=self.cls_id,
            cls_id=self.cls_id,
            meter_id=self.meter_id,
            gateway_host="127.0.0.1",
            gateway_port=line.port,
            gateway_name=gateway_name,
            extra={"baud": BUS_BAUD, **(channel if via == CHANNEL else {})},
        )
        flash(self.board.path, firmware + device_files(device, pki, self.key_file))

    async def close(self) -> None:
        """Ends board, meter, bus and lines."""
        self.board.close()
        self._meter.stop()
        self._bus.close()
        for line in self._lines:
            await line.close()

    def _on_pin(self, pin: int, level: int, mono_ns: int) -> None:
        if pin == PIN_RELAY and bool(level) != self.plant.relay:
            self.edges.append((mono_ns, bool(level)))
            self.plant.set_relay(bool(level), self._clock.ns_at(mono_ns) // 1_000_000)


class Fleet:
    """work: folder for state, keys and logs. After `start`: `operator`, `boxes`, `roles`.

    via: commands go by the gateway itself (SMGW), or over the CLS channel of each box (CHANNEL).
    """

    def __init__(self, work: Path, boxes: int, chance: random.Random, via: str = SMGW):
        work.mkdir(parents=True, exist_ok=True)
        self.work = work
        self.names = Names()
        self._via = via
        self.clock = BenchClock()
        self.roles: dict[str, RoleProcess] = {}
        self._sockets = Path(tempfile.mkdtemp(prefix="clsbench-"))
        self.operator = OperatorClient(str(self._sockets / "emt"))
        self.boxes = [
            Box(number, work, self.clock, *(BadTcpLine(self._to(port), chance) for port in PORTS))
            for number in range(1, boxes + 1)
        ]
        self._lmn = SerialLine(baud=LMN_BAUD)
        self._base_meter = LmnMeter(
            self._lmn.b_path,
            self.clock,
            self.names.lmn_meter,
            TELEGRAM_MS,
            read_values=self._lmn_values,
            baud=LMN_BAUD,
        )

    async def start(self) -> None:
        """Brings everything up."""
        names = self.names
        ids = [box.cls_id for box in self.boxes]
        pki = Pki.init(self.work / "pki", names.smgw, names.gwa, [names.emt], ids)
        for box in self.boxes:
            record_key(box.key_file)
            await box.open_lines()
        for role in ("gwa", "emt", "smgw"):
            await self.start_role(role)
        self._base_meter.start()
        firmware = build_firmware("unix", self.work / "firmware")
        for box in self.boxes:
            box.start(firmware, pki, f"{names.smgw.lower()}.sm", self._via)
        await self.operator.__aenter__()

    async def start_role(self, role: str) -> None:
        """Starts a role, or starts it again on the ports it had. Raises EnvironmentProblem."""
        known = self.roles.get(role)
        config = self.work / f"{role}.toml"
        config.write_text(self._config(role, known.ports if known else {}))
        self.roles[role] = RoleProcess(role, config, self.work / f"{role}.log")
        for _ in range(START_TRIES - 1):
            try:
                await self.roles[role].start()
                return
            except EnvironmentProblem:
                continue  # the machine is busy elsewhere
        await self.roles[role].start()

    async def close(self) -> None:
        """Ends every part; state stays in `work`."""
        await self.operator.__aexit__(None, None, None)
        for box in self.boxes:
            await box.close()
        for role in ("smgw", "emt", "gwa"):
            if role in self.roles:
                await self.roles[role].stop()
        self._base_meter.stop()
        self._lmn.close()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _to(self, port: str) -> Callable[[], int]:
        def there() -> int:
            gateway = self.roles.get("smgw")
            return gateway.ports.get(port, 0) if gateway else 0

        return there

    def _lmn_values(self, utc_ms: int) -> list[tuple[str, int, int, int]]:
        readings = [box.plant.reading("mid", utc_ms) for box in self.boxes]
        raw = sum(MeterValues(one, 0, 3).import_wh_raw(LMN_SCALER) for one in readings)
        return [("1-0:1.8.0*255", LMN_START_WH * 10 + raw, LMN_SCALER, 30)]

    def _config(self, role: str, ports: dict[str, int]) -> str:
        made = {"gwa": self._gwa, "emt": self._emt, "smgw": self._smgw}[role](ports)
        head = {"state_dir": str(self.work / role), "clock": self.clock.spec()}
        (section, own), *more = made
        pki = ("[pki]", {"dir": str(self.work / "pki")})
        return toml_text([(section, {**own, **head}), pki, *more])

    def _gwa(self, ports: dict[str, int]) -> list[tuple[str, dict[str, object]]]:
        names = self.names
        return [
            ("[gwa]", {"name": names.gwa}),
            ("[management]", {"port": ports.get("management", 0)}),
            ("[service]", {"port": ports.get("service", 0)}),
            ("[[smgw]]", {"id": names.smgw}),
            ("[[emt]]", {"name": names.emt, "smgw_ids": [names.smgw]}),
        ]

    def _emt(self, ports: dict[str, int]) -> list[tuple[str, dict[str, object]]]:
        names = self.names
        service = self.roles["gwa"].ports["service"]
        return [
            ("[emt]", {"name": names.emt, "operator_socket": str(self._sockets / "emt")}),
            ("[channel]", {"port": ports.get("channel", 0)}),
            ("[delivery]", {"port": ports.get("delivery", 0)}),
            ("[gwa]", {"name": names.gwa, "service_port": service}),
            *(
                (
                    "[[cls]]",
                    {
                        "cls_id": box.cls_id,
                        "smgw_id": names.smgw,
                        "key_file": str(box.key_file),
                        "taf_profile": names.taf16,
                        "via": self._via,
                    },
                )
                for box in self.boxes
            ),
            ("[cls_channel]", {"port": ports.get("cls", 0)}),
        ]

    def _smgw(self, ports: dict[str, int]) -> list[tuple[str, dict[str, object]]]:
        names = self.names
        ids = [box.cls_id for box in self.boxes]
        emt = self.roles["emt"].ports
        return [
            ("[smgw]", {"id": names.smgw}),
            ("[han]", {"port": ports.get("han", 0)}),
            ("[gwa]", {"name": names.gwa, "port": self.roles["gwa"].ports["management"]}),
            ("[timing]", {"command_s": 5, "retry_max_s": 1}),
            (
                "[[emt]]",
                {
                    "name": names.emt,
                    "channel_port": emt["channel"],
                    "delivery_port": emt["delivery"],
                    "cls_ids": ids,
                },
            ),
            ("[[lmn]]", {"port": self._lmn.a_path, "baud": LMN_BAUD, "meter_id": names.lmn_meter}),
            (
                "[[taf]]",
                {
                    "id": names.taf16,
                    "number": 16,
                    "meter_id": names.lmn_meter,
                    "final_consumer": names.final_consumer,
                    "emt": names.emt,
                    "event_sources": ids,
                    "wan_source": True,
                },
            ),
            *(("[[cls]]", {"cls_id": cls_id}) for cls_id in ids),
            ("[socks]", {"port": ports.get("socks", 0)}),
            *(
                (
                    "[[proxy]]",
                    {
                        "name": box.cls_id,
                        "cls_id": box.cls_id,
                        "emt": names.emt,
                        "local_server_name": box.server_name,
                        "wan_peers": [f"127.0.0.1:{emt['cls']}"],
                    },
                )
                for box in self.boxes
            ),
        ]
