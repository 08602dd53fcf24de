"""Envelopes what the administrator asks a gateway, and opens what it answers.

Stands in for the connection that requests are sent on, so that who asks need not know. Source:
TR-03116-3 chapter 8.
"""

import json as jsonlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from clsbench.clock import BenchClock
from clsbench.content_party import SUITES, ContentParty, media_type
from clsbench.errors import PeerSilent
from clsbench.eventlog import EventLog
from clsbench.gwa.config import GwaConfig
from clsbench.net.reverse import HttpAnswer, HttpOverStream
from clsbench.smgw.core.cms import CmsError
from clsbench.smgw.core.content import MEDIA_TYPE
from clsbench.smgw.wan.admin_content import wrapped


class Enveloping:
    """Which gateways get envelopes, by the configuration. Raises BadInput without the keys."""

    def __init__(self, config: GwaConfig, clock: BenchClock, events: EventLog):
        pki = config.pki
        self._wanted = {each.id: each for each in config.smgw if each.content == "enveloped"}
        self._party = ContentParty(pki.dir / "gwa", pki.wan_trust) if self._wanted else None
        self._default = pki.dir / "smgw" / "enc.crt.pem"
        self._clock = clock
        self._events = events

    def around(self, smgw_id: str, stream: HttpOverStream) -> HttpOverStream:
        """The connection to send requests on: this one, or an enveloping one around it."""
        entry = self._wanted.get(smgw_id)
        if entry is None or self._party is None:
            return stream
        recipient, suite = entry.enc_certificate or self._default, SUITES[entry.suite]
        made = EnvelopedStream(stream, self._party, recipient, suite, self._clock, self._events)
        return cast(HttpOverStream, made)


class EnvelopedStream:
    """`stream` to one gateway; recipient: the gateway's encryption certificate."""

    def __init__(
        self,
        stream: HttpOverStream,
        party: ContentParty,
        recipient: Path,
        suite: str,
        clock: BenchClock,
        events: EventLog,
    ):
        self._stream = stream
        self._party = party
        self._recipient = recipient
        self._suite = suite
        self._clock = clock
        self._events = events

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes = b"",
        content_type: str | None = None,
        timeout_s: float | None = None,
    ) -> HttpAnswer:
        """As `HttpOverStream.request`; an answer that does not open counts as none."""
        if json is not None:
            body = jsonlib.dumps(json).encode()
        if body:
            content = wrapped(method, path.partition("?")[0], body)
            now = datetime.fromtimestamp(self._clock.now_ms() // 1000, UTC)
            body = self._party.protect(content, self._recipient, now, self._suite)
            content_type = media_type()
        answer = await self._stream.request(
            method, path, body=body, content_type=content_type, timeout_s=timeout_s
        )
        if not answer.headers.get("content-type", "").startswith(MEDIA_TYPE):
            return answer
        try:
            found = self._party.open(answer.body, "SMGW")
        except CmsError as error:
            detail = {"reason": str(error), "path": path}
            self._events.event("SMGW", "GWA", "fault", "gwa.content", ok=False, detail=detail)
            raise PeerSilent(
                f"{self._stream.name}: answer to {path} does not open: {error}"
            ) from error
        headers = answer.headers | {"content-type": "application/json"}
        return HttpAnswer(answer.status, headers, found.content)
