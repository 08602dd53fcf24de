"""Owner of a wired M-Bus line: reads its meters, by primary or secondary address.

The only task that talks on it. Times are those of EN 13757-2 at the line's speed, 2400 to 9600
baud, 8 data bits, even parity, 1 stop bit.
"""

import asyncio

from dicamm import codes
from dicamm.proto import mbus_master as core
from dicamm.proto import mbus_search
from dicamm.proto.mbus import APPLICATION_ERROR, RECORDS, MbusTelegram
from dicamm.proto.mbus_codes import MORE

MAX_TELEGRAMS = 16  # of one reading
BITS_PER_CHAR = 11

_STEP_MS = 1
_SLACK_US = 20000  # for buffers and schedulers between the line and us
_CODES = (
    codes.OK,
    codes.METER_TIMEOUT,
    codes.METER_CRC,
    codes.METER_WRONG_UNIT,
    codes.METER_WRONG_FUNCTION,
)


class MbusLine:
    """port: drivers.rs485.Rs485 or a level converter that is used like it; clock: for real
    microseconds; tries: sendings per request.

    All methods may be called from any task; they wait for each other.
    """

    def __init__(self, port, clock, tries=3):
        self._port = port
        self._clock = clock
        self._tries = tries
        self._master = core.MbusMaster()
        self._buffer = bytearray(64)
        self._lock = asyncio.Lock()
        self._answer_us = core.answer_us(port.baud) + _SLACK_US
        self._gap_us = core.gap_us(port.baud) + _SLACK_US
        self._owed = False  # a request was given up, its answer may still come

    @property
    def discarded(self):
        """What came and was no frame: reason -> number."""
        return self._master.discarded

    async def read(self, address):
        """All telegrams of the meter at a primary address: (code, [bytes from the CI field on]).

        code: 0, or the number in `dicamm.codes` of why there is no reading.
        """
        async with self._lock:
            await self._settle()
            await self._once(self._master.reset(address))  # not every meter acknowledges it
            return await self._telegrams(address)

    async def read_secondary(self, secondary):
        """The same for a meter by its secondary address (8 bytes, see MbusMaster.select)."""
        async with self._lock:
            await self._settle()
            await self._once(self._master.reset(core.SELECTED))
            code = await self._ask(self._master.select, secondary)
            if code:
                return code, []
            return await self._telegrams(core.SELECTED)

    async def search(self):
        """Looks for every meter on the line; returns the mbus_search.SecondarySearch."""
        search = mbus_search.SecondarySearch()
        async with self._lock:
            while True:
                address = search.next()
                if address is None:
                    return search
                search.told(*await self._attempt(address))

    async def _attempt(self, address):
        master = self._master
        status = await self._once(master.select(address))  # whom it does not fit is deselected
        if status != core.DONE and master.error == core.NO_ANSWER:
            return mbus_search.NOBODY, None
        status = await self._once(master.request(core.SELECTED))
        if status != core.DONE:
            # a slave that acknowledged is there: what cannot be understood is more than one
            return mbus_search.SEVERAL, None
        telegram = MbusTelegram(master.frame.data)
        if telegram.identification is None or telegram.manufacturer is None:
            return mbus_search.SEVERAL, None
        return mbus_search.ONE, bytes(telegram.data[1:9])

    async def _telegrams(self, address):
        found = []
        while len(found) < MAX_TELEGRAMS:
            code = await self._ask(self._master.request, address)
            if code:
                return code, []
            data = self._master.frame.data
            code, more = _judge(data)
            if code:
                return code, []
            found.append(data)
            if not more:
                return 0, found
        return 0, found

    async def _ask(self, build, argument):
        """Sends a request up to `tries` times; the code of the last failure, or 0."""
        frame = build(argument)
        code = codes.METER_TIMEOUT
        for _ in range(self._tries):
            if await self._once(frame) == core.DONE:
                return 0
            code = _CODES[self._master.error]
            frame = self._master.repeat()
        self._owed = True
        return code

    async def _settle(self):
        """After a request given up: waits until the line was quiet for two answer times."""
        quiet_us = self._clock.real_us()
        while self._owed:
            await asyncio.sleep_ms(_STEP_MS)
            if self._port.receive(self._buffer):
                quiet_us = self._clock.real_us()
            elif self._clock.real_us() - quiet_us > 2 * self._answer_us:
                self._owed = False

    async def _once(self, frame):
        master = self._master
        while self._port.receive(self._buffer):
            pass  # what came after the last request was over
        self._port.send(frame)
        left_ms = self._port.sending_ms()
        while left_ms >= 0:
            await asyncio.sleep_ms(left_ms)
            left_ms = self._port.sending_ms()
        heard = False
        last_us = self._clock.real_us()
        while master.status == core.PENDING:
            count = self._port.receive(self._buffer)
            if count:
                heard = True
                last_us = self._clock.real_us()
                master.feed(memoryview(self._buffer)[:count])
            elif self._clock.real_us() - last_us > (self._gap_us if heard else self._answer_us):
                master.silence()
            else:
                await asyncio.sleep_ms(_STEP_MS)
        return master.status


def _judge(data):
    """(code, whether a further telegram follows) for one telegram."""
    telegram = MbusTelegram(data)
    if telegram.kind == APPLICATION_ERROR:
        return codes.METER_EXCEPTION, False
    if telegram.error:
        return codes.METER_WRONG_CONTENT, False
    if telegram.kind != RECORDS:
        return 0, False
    records = telegram.records()
    more = False
    while records.next():
        more = records.kind == MORE
    return (codes.METER_WRONG_CONTENT if records.error else 0), more
