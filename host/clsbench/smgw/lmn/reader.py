"""Reads one meter that speaks SML on a serial line of the LMN: pushed, or asked for.

Knows the line and the meter's profile; what readings are for is the receiver's business
(`on_reading`). Decodes with the reader of the device, `dicamm.proto.sml`.
Source: BSI Detailspezifikationen 2.0, chapter 9 (the SMGW is the SML client).
"""

import asyncio

from clsbench.clock import BenchClock
from clsbench.errors import BadInput
from clsbench.meters.device_id import server_id
from clsbench.smgw.core.profiles import ANY_METER, MeterProfile
from clsbench.smgw.core.readings import ReadingRefused, from_telegram
from clsbench.smgw.journal import FAILURE, SMGW, WARNING, Journal
from clsbench.smgw.lmn.line import READ_BYTES, LineReader, OnReading, Stream
from clsbench.smgw.lmn.seconds import SecondsWatch
from dicamm.proto.sml import FRAME, SmlFrame, SmlReceiver
from dicamm.proto.sml_request import list_request, request_file

ANSWER_S = 5.0  # a meter has to answer a request
_SECONDS_INDEX = 1
_CLIENT = b"\x0aSMGW"


class MeterReader(LineReader):
    """A meter that pushes. The reading's time is its telegram's first byte."""

    def __init__(
        self,
        profile: MeterProfile,
        port: str,
        baud: int,
        clock: BenchClock,
        journal: Journal,
        on_reading: OnReading,
    ):
        super().__init__(port, baud, (profile.meter_id,), clock, journal, on_reading)
        self.key = profile.meter_id
        self._profile = profile
        self._seconds = SecondsWatch()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver, stream = SmlReceiver(), Stream()
        while data := await reader.read(READ_BYTES):
            self._feed(receiver, stream, data)

    def _feed(self, receiver: SmlReceiver, stream: Stream, data: bytes) -> int:
        """Takes received bytes; returns how many telegrams ended in them."""
        stream.add(data, self._clock.now_ms())
        receiver.feed(data)
        whole = 0
        while (event := receiver.next_event()) is not None:
            if event.kind == FRAME:
                whole += 1
                captured_ms = stream.arrived_ms(event.data.offset)
                telegram = stream.part(event.data.offset, event.data.length)
                self.take(event.data, captured_ms, telegram)
            else:
                self._count(event.data)
        return whole

    def take(self, frame: SmlFrame, captured_ms: int, telegram: bytes) -> None:
        """A whole telegram: given on as a reading, or counted as refused."""
        try:
            reading = from_telegram(frame, captured_ms, self._profile, telegram)
        except ReadingRefused as refused:
            self._count(str(refused))
            return
        if self._profile.meter_id == ANY_METER:
            self._learn(reading.meter_id)
        time = frame.sensor_time
        if time is not None and time[0] == _SECONDS_INDEX:
            self._compare_clocks(time[1], captured_ms)
        self._give(self.key, reading)

    def _compare_clocks(self, index: int, captured_ms: int) -> None:
        watch = self._seconds
        if watch.take(index, captured_ms):
            detail = self._detail() | {"trouble": watch.trouble, "drift_ms": watch.drift_ms}
            good = not watch.trouble
            self._journal.event("meter", SMGW, "state", "lmn.clock", ok=good, detail=detail)
            if watch.trouble:
                message = f"{watch.trouble}, {watch.drift_ms} ms"
                self._journal.calibration("lmn.clock", self.key, message, WARNING, FAILURE)

    def _learn(self, meter_id: str) -> None:
        self._profile = MeterProfile(meter_id, self._profile.obis)
        message = f"meter {meter_id} on {self.port}: first one seen, the only one taken from now"
        self._journal.event(
            "meter", SMGW, "state", "lmn.learnt", detail={"meter_id": meter_id, "port": self.port}
        )
        self._journal.calibration("meter.learnt", meter_id, message)


class MeterAsker(MeterReader):
    """A meter that answers (GetList) every `pull_s` seconds. Its answer is read as a push is."""

    def __init__(self, *arguments, pull_s: float):
        super().__init__(*arguments)
        self._pull_s = pull_s
        self._asked = 0

    def request(self) -> bytes:
        """The next request file. file id: a number that the answer repeats."""
        self._asked = self._asked % 0xFFFFFFFF + 1
        server = request_server(self._profile.meter_id)
        file_id = self._asked.to_bytes(4, "big")
        return request_file(_CLIENT, server, file_id, [list_request(_CLIENT, server)])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        receiver, stream = SmlReceiver(), Stream()
        while True:
            begun = loop.time()
            writer.write(self.request())
            try:
                async with asyncio.timeout(ANSWER_S):
                    whole = 0
                    while not whole:
                        data = await reader.read(READ_BYTES)
                        if not data:
                            return
                        whole = self._feed(receiver, stream, data)
            except TimeoutError:
                self._count("no answer")
            await self._pause(begun + self._pull_s)


def request_server(meter_id: str) -> bytes | None:
    """The server id to ask for; None: whoever is there."""
    try:
        return None if meter_id == ANY_METER else server_id(meter_id)
    except BadInput:
        return bytes.fromhex(meter_id)  # not of DIN 43863-5: configured as hex
