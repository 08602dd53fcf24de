"""A simulated energy meter as a Modbus RTU slave on a serial port, served by pymodbus.

Knows which bytes answer which request, and how a meter can misbehave; the values are those
of the plant at the instant a request is whole. Runs in a thread with an event loop of its
own. Knows nothing of what the master does with the values.
Source of frames and exception codes: Modbus Application Protocol V1.1b3.
"""

import asyncio
import os
import struct
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from pymodbus.constants import ExcCodes
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest
from pymodbus.server import ModbusSerialServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from clsbench.clock import BenchClock
from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.eventlog import EventLog
from clsbench.meters.catalogue import MAX_READ, load
from clsbench.meters.load import Plant
from clsbench.meters.registers import MeterValues, RegisterBank

SERVED_LIMIT = 2000
_START_S = 15.0
_FRAME_GAP_S = 0.15  # silence after which a begun request is given up; t3.5 would be 4 ms
_EXCEPTION = 0x80


@dataclass(frozen=True, slots=True)
class Served:
    """A reading that went out intact: bench time of its values, address, register bytes."""

    t_ms: int
    address: int
    count: int
    payload_hex: str


@dataclass(frozen=True, slots=True)
class Faults:
    """How the meter misbehaves.

    silent: no reply. crc_errors: one bit of the reply is flipped. slow_ms: real time by which
    the reply is late. exception: code answered instead of values (0: none). replies: number
    of requests this lasts; None: until it is cleared.
    """

    silent: bool = False
    crc_errors: bool = False
    slow_ms: int = 0
    exception: int = 0
    replies: int | None = None


HEALTHY = Faults()


@dataclass(slots=True)
class _Exchange:
    """One request on its way through the meter."""

    faults: Faults
    address: int
    count: int
    t_ms: int = 0
    payload: bytes | None = None


class ModbusMeter:
    """One meter on one port. `start` returns when it listens, `stop` when the port is free.

    plant: where the energy flows; `feeder` names the meter's place in it. unit: slave
    address 1 to 247; requests to others go unanswered. model: a name of the meter catalogue,
    whose bus settings the port gets. port: path of a serial port or pty.
    start_wh: what the import register shows at the plant's beginning. Raises BadInput
    (unit, model, feeder) and, from start, EnvironmentProblem (port).
    """

    def __init__(
        self,
        plant: Plant,
        *,
        port: str,
        clock: BenchClock,
        unit: int = 1,
        model: str = "eastron_sdm630",
        feeder: str = "mid",
        start_wh: int = 0,
        event_log: EventLog | None = None,
    ):
        if not 1 <= unit <= 247:
            raise BadInput(f"modbus meter: unit {unit}: expected 1 to 247")
        self.port, self.unit = port, unit
        self.model = load(model)
        bus = self.model.bus
        self._bank = RegisterBank(
            self.model.registers, bus.max_registers or MAX_READ, bus.max_gap, bus.word_order
        )
        self._start_wh = start_wh
        self._plant, self._feeder, self._clock = plant, feeder, clock
        self._log = event_log or EventLog(None, clock, "meter")
        self._faults = HEALTHY
        self._served: deque[Served] = deque(maxlen=SERVED_LIMIT)
        self._lock = threading.Lock()
        self._exchange: _Exchange | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        plant.max_power_w(feeder)  # refuses an unknown feeder now, not at the first request

    def values_at(self, at_ms: int) -> MeterValues:
        """What the registers hold at `at_ms`, or at the plant's present where that is later."""
        reading = self._plant.reading(self._feeder, at_ms)
        return MeterValues(reading, self._start_wh, self.model.phases)

    def start(self) -> "ModbusMeter":
        """Opens the port and begins to serve. Raises EnvironmentProblem where it cannot."""
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="modbus-meter", daemon=True
        )
        self._thread.start()
        ready.wait(_START_S)
        if self._loop is None:
            raise EnvironmentProblem(
                f"modbus meter: cannot open {self.port}. Does it exist, may you write to it, "
                "and is no other program using it?"
            )
        return self

    def stop(self) -> None:
        """Ends serving and frees the port. May be called twice."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(_START_S)
        self._thread = self._loop = None

    def __enter__(self) -> "ModbusMeter":
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def set_faults(self, **changes: Any) -> None:
        """Misbehaves from the next request on; see Faults for the names. No name: healthy."""
        try:
            faults = Faults(**changes)
        except TypeError as error:
            raise BadInput(f"modbus meter: unknown fault: {error}") from error
        known = {0, *(code.value for code in ExcCodes)}
        if faults.slow_ms < 0 or faults.exception not in known:
            raise BadInput(f"modbus meter: senseless fault {faults}")
        with self._lock:
            self._faults = faults

    @property
    def faults(self) -> Faults:
        """How the meter misbehaves at present."""
        with self._lock:
            return self._faults

    def served(self) -> list[Served]:
        """The last SERVED_LIMIT readings given out, oldest first."""
        with self._lock:
            return list(self._served)

    async def _serve(self, ready: threading.Event) -> None:
        self._stop = asyncio.Event()
        server = _Server(self)
        try:
            await server.serve_forever(background=True)
            self._loop = asyncio.get_running_loop()
        except (RuntimeError, termios.error):  # start() says so
            return
        finally:
            ready.set()
        await self._stop.wait()
        await server.shutdown()

    def receive(self, request: ModbusPDU, raw: bytes) -> ModbusPDU | None:
        """A whole request has come; None: it is not for this meter."""
        if request.dev_id != self.unit:
            return None
        self._exchange = _Exchange(self._next_faults(), request.address, request.count)
        detail = {
            "unit": request.dev_id,
            "function": request.function_code,
            "address": request.address,
            "count": request.count,
        }
        self._log.event("DICAMM", "meter", "message", "modbus.request", detail=detail, raw=raw)
        return request

    async def answer(
        self,
        function_code: int,
        start_address: int,
        address: int,
        count: int,
        current_registers: list[int],
        set_values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Puts the values of this instant where pymodbus reads them (its `action`)."""
        exchange = self._exchange
        if exchange is None or set_values is not None:
            return ExcCodes.ILLEGAL_FUNCTION
        if exchange.faults.exception:
            return ExcCodes(exchange.faults.exception)
        values = self.values_at(self._clock.now_ms())
        data = self._bank.read(function_code, address, count, values)
        if isinstance(data, int):
            return ExcCodes(data)
        exchange.t_ms, exchange.payload = values.reading.t_ms, data
        at = address - start_address
        current_registers[at : at + count] = struct.unpack(f">{count}H", data)
        return None

    def reply(self, frame: bytes, loop: asyncio.AbstractEventLoop, send: "_Send") -> None:
        """Sends pymodbus's reply, or what the present fault makes of it."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return  # nobody asked this meter: undecodable, or another unit
        if exchange.faults.silent:
            self._log.event("meter", "meter", "fault", "modbus.silent", ok=False)
            return
        if exchange.faults.crc_errors:
            middle = len(frame) // 2
            frame = frame[:middle] + bytes([frame[middle] ^ 0x10]) + frame[middle + 1 :]
        if exchange.faults.slow_ms:
            loop.call_later(exchange.faults.slow_ms / 1000, self._send, exchange, frame, send)
        else:
            self._send(exchange, frame, send)

    def _send(self, exchange: _Exchange, frame: bytes, send: "_Send") -> None:
        intact = exchange.payload is not None and not exchange.faults.crc_errors
        detail: dict[str, Any] = {"address": exchange.address, "count": exchange.count}
        if frame[1] & _EXCEPTION:
            detail["exception"] = frame[2]
        elif exchange.payload is not None:
            detail["captured_ms"] = exchange.t_ms
        name = "modbus.reply"
        self._log.event("meter", "DICAMM", "message", name, ok=intact, detail=detail, raw=frame)
        if intact and exchange.payload is not None:
            payload_hex = exchange.payload.hex()
            reading = Served(exchange.t_ms, exchange.address, exchange.count, payload_hex)
            with self._lock:
                self._served.append(reading)
        send(frame)

    def _next_faults(self) -> Faults:
        with self._lock:
            faults = self._faults
            if faults.replies is not None:
                left = faults.replies - 1
                self._faults = replace(faults, replies=left) if left > 0 else HEALTHY
            return faults


_Send = Callable[[bytes], None]


class _ReadHolding(ReadHoldingRegistersRequest):
    """Takes any count, so that the meter itself refuses a wrong one with code 3."""

    def decode(self, data: bytes) -> None:
        self.address, self.count = struct.unpack(">HH", data[:4])


class _ReadInput(ReadInputRegistersRequest):
    """Takes any count, as above."""

    def decode(self, data: bytes) -> None:
        self.address, self.count = struct.unpack(">HH", data[:4])


class _Server(ModbusSerialServer):
    """pymodbus's serial server with one meter behind it."""

    def __init__(self, meter: ModbusMeter):
        self.meter = meter
        self._received = b""
        bus = meter.model.bus
        space = SimData(0, count=0x10000, values=0, datatype=DataType.REGISTERS)
        super().__init__(
            SimDevice(meter.unit, [space], action=meter.answer),
            port=meter.port,
            baudrate=bus.baud or 9600,
            parity=_parity(meter.port, bus.parity),
            stopbits=bus.stop_bits or 1,
            trace_packet=self._keep,
            trace_pdu=self._filter,
            custom_pdu=[_ReadHolding, _ReadInput],
        )

    def callback_new_connection(self) -> ServerRequestHandler:
        return _Handler(self, self.trace_packet, self.trace_pdu, self.trace_connect)

    def _keep(self, sending: bool, data: bytes) -> bytes:
        if not sending:
            self._received = data
        return data

    def _filter(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        if sending:
            return pdu
        # pymodbus drops a request whose trace is None: a slave leaves other units' requests alone
        return cast(ModbusPDU, self.meter.receive(pdu, self._received))


def _parity(port: str, parity: str | None) -> str:
    """pyserial's letter. A pty carries bytes without parity and Linux refuses to set one."""
    pty = os.path.realpath(port).startswith("/dev/pts/")
    return "N" if pty or parity is None else parity[0].upper()


class _Handler(ServerRequestHandler):
    """One open port: ends torn requests by silence, and sends by way of the meter's faults."""

    _last_s = 0.0

    def data_received(self, data: bytes) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s > _FRAME_GAP_S:
            self.recv_buffer = b""
        self._last_s = now_s
        super().data_received(data)

    def send(self, data: bytes, addr: tuple | None = None) -> None:
        self.server.meter.reply(data, self.loop, super().send)
