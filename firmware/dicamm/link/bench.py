"""The bench link: CBOR messages in frames over the board's own console.

Turns frames into calls of the handlers handed in, and their results into frames. Knows no
tasks and no hardware but the console port. Message numbers and keys: `docs/wire.cddl`.
"""

from dicamm import codes
from dicamm.control.command import Answer, parse
from dicamm.metering.legal_time import is_utc_ms
from dicamm.proto import cbor, link_frame

HELLO = 1
TIME = 2
COMMAND = 3
ANSWER = 4
RECORD = 5
ACKNOWLEDGE = 6
STATUS = 7
LOG = 8
RECORDS = 10
HAND_OVER = 11
LOGS = 12
DETACH = 13
UPDATE = 14

MAX_RECORDS = 64  # of one request

_TYPE = 0
_ID = 1


class BenchLink:
    """console: port with receive, wait, send. device: answers what the host asks (see
    `app.device.BenchService`).

    `attached` is true from a hello to the detach: only then are log entries sent unasked, so
    that a person with a terminal sees no frames. `alive`: what tells the supervisor that the task
    runs, for requests that take long.
    """

    def __init__(self, console, device):
        self._console = console
        self.device = device
        self._receiver = link_frame.LinkReceiver()
        self._buffer = bytearray(128)
        self.alive = _nobody
        self.attached = False
        self.malformed = 0
        self.handed_over = False

    @property
    def discarded(self):
        """Frames thrown away: reason -> number."""
        return self._receiver.discarded

    async def run(self, alive):
        """Ends only when the host wants the REPL."""
        self.alive = alive
        while not self.handed_over:
            alive()
            count = self._console.receive(self._buffer)
            if not count:
                await self._console.wait()
                continue
            self._receiver.feed(memoryview(self._buffer)[:count])
            while True:
                event = self._receiver.next_event()
                if event is None:
                    break
                if event.kind == link_frame.FRAME:
                    await self._take(event.data)

    def send_log(self, entry):
        """Passes a log entry on while a host is attached."""
        if self.attached:
            self.send({_TYPE: LOG, 2: entry[0], 3: entry[1], 4: list(entry[2:])})

    async def _take(self, payload):
        try:
            message = cbor.decode(payload)
        except cbor.CborError:
            self.malformed += 1
            return
        if not isinstance(message, dict) or not _is_count(message.get(_ID)):
            self.malformed += 1
            return
        await self.serve(message.get(_TYPE), message[_ID], message)

    async def serve(self, kind, number, message):
        """Does what a request asks and answers it; its kind and number are known."""
        if kind == HELLO:
            self.attached = True
            self.send({_TYPE: HELLO, _ID: number, 2: self.device.hello()})
        elif kind == STATUS:
            self.send({_TYPE: STATUS, _ID: number, 2: self.device.status()})
        elif kind == COMMAND:
            self.answer(number, await self._command(message))
        elif kind == TIME:
            self.answer(number, self._set_time(message.get(2), message.get(3)))
        elif kind == ACKNOWLEDGE:
            self.answer(number, self._acknowledge(message.get(2), message.get(3, [])))
        elif kind == RECORDS:
            self.answer(number, self._records(message.get(2), message.get(3)))
        elif kind == LOGS:
            self.answer(number, self._logs())
        elif kind == DETACH:
            self.attached = False
            self.answer(number, Answer(0))
        elif kind == HAND_OVER:
            self.answer(number, Answer(0))
            self.handed_over = True
        elif kind == UPDATE:
            reply = await self.device.update(message)
            reply[_TYPE], reply[_ID] = UPDATE, number
            self.send(reply)
        else:
            self.answer(number, Answer(codes.UNKNOWN_MESSAGE))

    async def _command(self, message):
        command, code = parse(*[message.get(key) for key in range(2, 8)])
        if code:
            return Answer(code)
        return await self.device.command(command)

    def _set_time(self, utc_ms, bound_ms):
        if not is_utc_ms(utc_ms) or not is_utc_ms(bound_ms):
            return Answer(codes.BAD_TIME)
        self.device.set_time(utc_ms, bound_ms)
        return Answer(0)

    def _acknowledge(self, seq, lacking):
        mark = self.device.acknowledge(seq) if _is_count(seq) else None
        if mark is None:
            return Answer(codes.BAD_MESSAGE)
        if not isinstance(lacking, list):
            return Answer(codes.BAD_MESSAGE)
        for run in lacking:
            if not (
                isinstance(run, list) and len(run) == 2 and _is_count(run[0]) and _is_count(run[1])
            ):
                return Answer(codes.BAD_MESSAGE)
            self._send_records(run[0], run[1] - run[0] + 1)
        return Answer(0, mark)

    def _records(self, first, count):
        if not _is_count(first) or not _is_count(count):
            return Answer(codes.BAD_MESSAGE)
        return Answer(0, self._send_records(first, count))

    def _send_records(self, first, count):
        last = None
        for seq, sealed in self.device.records(first, min(count, MAX_RECORDS)):
            self.send({_TYPE: RECORD, 2: seq, 3: sealed})
            last = seq
        return last

    def _logs(self):
        for entry in self.device.logs():
            self.send({_TYPE: LOG, 2: entry[0], 3: entry[1], 4: list(entry[2:])})
        return Answer(0)

    def answer(self, number, answer):
        """Sends an Answer to the request of this number."""
        self.send({_TYPE: ANSWER, _ID: number, 2: answer.code, 3: answer.seq, 4: answer.text})

    def send(self, message):
        """Sends one message."""
        self._console.send(link_frame.encode(cbor.encode(message)))


def _nobody():
    pass


def _is_count(value):
    return type(value) is int and value >= 0
