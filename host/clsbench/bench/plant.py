"""The plant around the DICAMM: heating rod, its MID meter on RS-485, the base meter on the LMN.

Two real serial lines (ptys that keep the baud rate). Knows nothing of gateways and markets.
"""

from pathlib import Path

from clsbench.clock import BenchClock
from clsbench.eventlog import EventLog
from clsbench.meters.line import SerialLine
from clsbench.meters.lmn_meter import CapturePlayer, LmnMeter, SmlPusher
from clsbench.meters.load import BaseLoad, Feeder, HeatingRod, Plant
from clsbench.meters.modbus_server import ModbusMeter
from clsbench.meters.registers import MeterValues

BUS_BAUD = 9600
LMN_BAUD = 921_600  # wired LMN
LMN_SCALER = -1  # the base meter counts 0.1 Wh
LMN_INTERVAL_MS = 25  # real time between telegrams of the base meter
MID_START_WH = 1_234_560
LMN_START_WH = 8_765_432
PIN_RELAY = 2
WATER_MC = 47_500  # so warm that the thermostat ends the heating after about 6 kWh
W_MS_PER_DWH = 360_000


class BenchPlant:
    """scenario: `plant` (both meters see the rod alone) or `house` (the base meter sees a
    household besides). capture: file of captured SML to be played instead of the base meter.
    """

    def __init__(
        self,
        clock: BenchClock,
        events: EventLog,
        *,
        scenario: str = "plant",
        capture: Path | None = None,
        paced: bool = True,
        lmn_meter_id: str = "1EMH0098765432",
    ):
        self.clock = clock
        self._events = events
        start_ms = clock.now_ms()
        self.rod = HeatingRod(start_ms=start_ms, water_mc=WATER_MC)
        at_house: list[HeatingRod | BaseLoad] = [self.rod]
        if scenario == "house":
            at_house.append(BaseLoad(start_ms=start_ms))
        self.plant = Plant(self.rod, {"mid": Feeder([self.rod]), "lmn": Feeder(at_house)})
        self.bus = SerialLine(baud=BUS_BAUD, bits_per_char=10, paced=paced)
        self.lmn = SerialLine(baud=LMN_BAUD, bits_per_char=10, paced=paced)
        self.meter = ModbusMeter(
            self.plant,
            unit=1,
            model="eastron_sdm630",
            port=self.bus.b_path,
            clock=clock,
            feeder="mid",
            start_wh=MID_START_WH,
            event_log=events,
        )
        self.base_meter: SmlPusher
        if capture is not None:
            self.base_meter = CapturePlayer(self.lmn.b_path, capture, LMN_INTERVAL_MS)
        else:
            self.base_meter = LmnMeter(
                self.lmn.b_path,
                clock,
                lmn_meter_id,
                LMN_INTERVAL_MS,
                read_values=self._lmn_values,
                baud=LMN_BAUD,
            )

    @property
    def bus_path(self) -> str:
        """The DICAMM's end of the RS-485 line."""
        return self.bus.a_path

    @property
    def lmn_path(self) -> str:
        """The SMGW's end of the LMN line."""
        return self.lmn.a_path

    def start(self) -> None:
        """Both meters begin to serve."""
        self.meter.start()
        self.base_meter.start()

    def stop(self) -> None:
        """Meters and lines end."""
        self.base_meter.stop()
        self.meter.stop()
        self.lmn.close()
        self.bus.close()

    def on_pin(self, pin: int, value: int, mono_ns: int) -> None:
        """Relay observer of the board: an edge of the relay pin switches the rod."""
        if pin != PIN_RELAY:
            return
        at_ms = self.clock.ns_at(mono_ns) // 1_000_000
        closed = bool(value)
        if closed == self.plant.relay:
            return
        self.plant.set_relay(closed, at_ms)
        self._events.event(
            "DICAMM",
            "load",
            "state",
            "relay.closed" if closed else "relay.opened",
            detail={"closed": closed, "mono_ns": mono_ns},
            t_ns=at_ms * 1_000_000,
        )

    def house_dwh(self, from_ms: int, to_ms: int) -> int:
        """Energy of the household alone between two instants, in 0.1 Wh (scenario `house`)."""
        house = BaseLoad(start_ms=from_ms)
        house.advance(to_ms)
        return house.energy_w_ms // W_MS_PER_DWH

    def _lmn_values(self, utc_ms: int) -> list[tuple[str, int, int, int]]:
        reading = self.plant.reading("lmn", utc_ms)
        values = MeterValues(reading, LMN_START_WH, 3)
        return [
            ("1-0:1.8.0*255", values.import_wh_raw(LMN_SCALER), LMN_SCALER, 30),
            ("1-0:16.7.0*255", reading.power_w, 0, 27),
        ]
