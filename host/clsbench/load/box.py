"""One control box of a load run, as light as one can be: a TLS connection and HTTP on it.

Speaks the HAN interface with the device's own HTTP core, one request at a time. Knows no rules
and no retries: whatever fails is raised to the one who counts.
"""

import asyncio
import json
import ssl
from typing import Any

from clsbench.errors import PeerRefused, PeerSilent
from clsbench.net.listener import open_tls
from dicamm.proto import http1

TIME = "/smgw/cls/v1/rts/time"
EVENT = "/smgw/cls/v1/fas/event"
ANSWER_S = 60.0
CONNECT_S = 60.0


class LoadBox(asyncio.Protocol):
    """The box `cls_id`; `connect` first."""

    def __init__(self, cls_id: str):
        self.cls_id = cls_id
        self._receiver = http1.AnswerReceiver()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[http1.Answer] | None = None

    async def connect(self, port: int, smgw_id: str, context: ssl.SSLContext) -> None:
        """Opens the session. Raises PeerRefused, PeerSilent."""
        self._transport, _ = await open_tls(
            "127.0.0.1", port, context, "SMGW", smgw_id, lambda: self, CONNECT_S
        )

    @property
    def connected(self) -> bool:
        """True while the session stands."""
        return self._transport is not None and not self._transport.is_closing()

    async def time(self) -> dict[str, Any]:
        """The gateway's time."""
        return await self._request("GET", TIME)

    async def announce(self, key: str, event_ms: int, seq: int) -> dict[str, Any]:
        """Announces an event; the answer has the record's number."""
        body = {"uuid": key, "cls_id": self.cls_id, "event": "begin", "text": "load"}
        body |= {"event_ms": event_ms, "device_seq": seq}
        return await self._request("POST", EVENT, json.dumps(body).encode())

    def close(self) -> None:
        """Ends the session without ceremony."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer."""
        self._receiver.feed(data)
        event = self._receiver.next_event()
        if event is None or self._answer is None or self._answer.done():
            return
        if event.kind == http1.ANSWER:
            self._answer.set_result(event.data)
        else:
            self._answer.set_exception(PeerSilent(f"{self.cls_id}: no HTTP ({event.data})"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The gateway ended the session."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(PeerSilent(f"{self.cls_id}: session ended ({exc})"))

    async def _request(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        if self._transport is None or self._transport.is_closing():
            raise PeerSilent(f"{self.cls_id}: the session has ended before {method} {path}")
        self._answer = asyncio.get_running_loop().create_future()
        kind = "application/json" if body else None
        self._transport.write(http1.encode_request(method, path, "smgw", body, kind))
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._answer
        except TimeoutError as error:
            raise PeerSilent(
                f"{self.cls_id}: no answer to {method} {path} in {ANSWER_S:g} s"
            ) from error
        if answer.status != 200:
            raise PeerRefused(f"{self.cls_id}: {method} {path} answered {answer.status}")
        return json.loads(answer.body)
