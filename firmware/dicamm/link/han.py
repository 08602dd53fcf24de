"""The DICAMM's side of the HAN interface to the SMGW: what is asked, what is answered.

HTTP/1.1 over one kept connection; a second instance serves the long poll for commands.
Paths after the BSI detail specification 2.0, chapters 6 and 7 (role `cls`). Opens no
sockets itself: `connect` is a port, so that this runs wherever a stream can be had.
"""

import asyncio
import json

from dicamm import codes
from dicamm.metering.legal_time import is_utc_ms
from dicamm.proto.http1 import ANSWER, AnswerReceiver, encode_request

TIME = "/smgw/cls/v1/rts/time"
EVENT = "/smgw/cls/v1/fas/event"
COMMAND = "/smgw/cls/v1/rts/command/"
RECORD = "/smgw/cls/v1/rts/record/"

_JSON = "application/json"
_CBOR = "application/cbor-seq"


class HanError(Exception):
    """code: a number of `dicamm.codes`; status: HTTP status, or 0."""

    def __init__(self, code, status=0):
        super().__init__(code, status)
        self.code = code
        self.status = status


class HanClient:
    """connect: async function that returns a stream; host: for the Host header; timeout_ms: real
    time for an answer."""

    def __init__(self, connect, host, timeout_ms=5000):
        self._connect = connect
        self._host = host
        self._timeout_ms = timeout_ms
        self._stream = None
        self._receiver = AnswerReceiver()
        self._lock = asyncio.Lock()
        self.requests = 0
        self.failures = 0

    @property
    def discarded(self):
        """Answers that were no HTTP: reason -> number."""
        return self._receiver.discarded

    async def time(self):
        """(utc_ms, bound_ms) of the gateway. Raises HanError, also when its clock is not set."""
        body = await self._object("GET", TIME, None)
        if body.get("state") != "synchronised":
            raise HanError(codes.GATEWAY_TIME_UNSET)
        utc_ms, bound_ms = body.get("utc_ms"), body.get("bound_ms")
        if not is_utc_ms(utc_ms) or not is_utc_ms(bound_ms):
            raise HanError(codes.HAN_CONTENT)
        return utc_ms, bound_ms

    async def announce(self, event):
        """Announces an event (dict of the wire's keys); returns the gateway record's number."""
        body = await self._object("POST", EVENT, event)
        if not isinstance(body.get("seq"), int):
            raise HanError(codes.HAN_CONTENT)
        return body["seq"]

    async def next_command(self, wait_ms):
        """The next command as a dict, or None when none came within `wait_ms` of real time."""
        path = COMMAND + "?wait_ms=" + str(wait_ms)
        return await self._json("GET", path, None, (200, 204), wait_ms)

    async def answer_command(self, command_id, code, seq, text):
        """Tells the gateway what became of a command."""
        body = {"code": code, "seq": seq, "text": text}
        await self._json("POST", COMMAND + command_id, body, (200, 204))

    async def deliver(self, sealed, first):
        """Delivers sealed records (a CBOR sequence, RFC 8742); all from `first` on are still here.

        Returns the number up to which the gateway lacks none, and the first range that it asks
        for again, (from, to), or None.
        """
        path = RECORD + "?from=" + str(first)
        body = _parse(await self._exchange("POST", path, b"".join(sealed), _CBOR, 0), (200,)) or {}
        acknowledged = body.get("acknowledged")
        if not isinstance(acknowledged, int):
            raise HanError(codes.HAN_CONTENT)
        missing = body.get("missing")
        if not missing:
            return acknowledged, None
        try:
            first, last = missing[0]
            return acknowledged, (int(first), int(last))
        except (TypeError, ValueError, KeyError):
            raise HanError(codes.HAN_CONTENT) from None

    async def _object(self, method, path, body):
        return await self._json(method, path, body, (200,)) or {}

    async def _json(self, method, path, body, expected, extra_ms=0):
        data = b"" if body is None else json.dumps(body).encode()
        kind = None if body is None else _JSON
        answer = await self._exchange(method, path, data, kind, extra_ms)
        return _parse(answer, expected)

    async def _exchange(self, method, path, body, kind, extra_ms):
        async with self._lock:
            self.requests += 1
            try:
                return await asyncio.wait_for_ms(
                    self._round(method, path, body, kind), self._timeout_ms + extra_ms
                )
            except asyncio.TimeoutError:
                await self._drop()
                raise HanError(codes.HAN_SILENT) from None
            except (OSError, ValueError) as error:
                await self._drop()
                raise HanError(_code_of(error)) from None
            except HanError:
                await self._drop()
                raise

    async def _round(self, method, path, body, kind):
        if self._stream is None:
            self._receiver.reset()
            self._stream = await self._connect()
        stream = self._stream
        stream.write(encode_request(method, path, self._host, body, kind))
        await stream.drain()
        while True:
            event = self._receiver.next_event()
            if event is None:
                data = await stream.read(1024)
                if not data:
                    raise HanError(codes.HAN_CONNECTION)
                self._receiver.feed(data)
            elif event.kind == ANSWER:
                if not event.data.keep:
                    await self._drop()
                return event.data
            else:
                raise HanError(codes.HAN_HTTP)

    async def _drop(self):
        self.failures += 1
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.close()
                await stream.wait_closed()
            except OSError:
                pass  # the other side was quicker


def _code_of(error):
    """MicroPython's TLS tells of a certificate it does not accept by ValueError, and of mbedTLS's
    own errors, the other side's alerts among them, by OSError with a negative number."""
    if isinstance(error, OSError) and not (error.errno and error.errno < 0):
        return codes.HAN_CONNECTION
    return codes.HAN_TLS


def _parse(answer, expected):
    if answer.status not in expected:
        raise HanError(codes.HAN_REFUSED, answer.status)
    if answer.status == 204:
        return None
    try:
        body = json.loads(answer.body)
    except ValueError:
        raise HanError(codes.HAN_CONTENT) from None
    if not isinstance(body, dict):
        raise HanError(codes.HAN_CONTENT)
    return body
