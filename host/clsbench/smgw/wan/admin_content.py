"""Administrator's messages in envelopes: opened before the gateway looks, its answers sealed.

A message names method and path it is for, and was signed around now, so that it serves for no
other order and no other day. Requests without a body (GET) have nothing to protect; answers with
one are enveloped for the administrator. Source: TR-03116-3 chapter 8 (content for its end point,
whoever carries it).
"""

import json
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from clsbench.content_party import ContentParty, media_type
from clsbench.errors import BadInput
from clsbench.pki.names import Peer
from clsbench.smgw.clock import GatewayClock
from clsbench.smgw.core.cms import CmsError
from clsbench.smgw.core.content import MEDIA_TYPE
from clsbench.smgw.journal import SMGW, Journal
from clsbench.smgw.rest import HttpRefusal, Router

NOT_ENVELOPED = 415  # unsupported media type: what came was in no envelope


class AdminContent:
    """Stands before a router. recipient: the administrator's encryption certificate."""

    def __init__(
        self,
        party: ContentParty,
        recipient: Path,
        suite: str,
        router: Router,
        clock: GatewayClock,
        journal: Journal,
    ):
        self._party = party
        self._recipient = recipient
        self._suite = suite
        self._router = router
        self._clock = clock
        self._journal = journal
        router.opened = self._opened

    async def answer(self, peer: Peer, request: web.BaseRequest) -> web.StreamResponse:
        """The router's answer, its body in an envelope."""
        response = await self._router.answer(peer, request)
        if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
            return response
        if response.status == NOT_ENVELOPED:
            return response  # to one that speaks plain, in a form it reads
        try:
            body = self._party.protect(response.body, self._recipient, self._now(), self._suite)
        except BadInput as error:
            self._journal.refused("GWA", "content.failed", peer.name, str(error))
            return web.json_response({"error": str(error)}, status=500)
        headers = {"Content-Type": media_type()}
        return web.Response(body=body, status=response.status, headers=headers)

    def _opened(self, peer: Peer, request: web.BaseRequest, body: bytes) -> bytes:
        if not body:
            return body
        if request.content_type != MEDIA_TYPE:
            raise HttpRefusal(NOT_ENVELOPED, "an enveloped message is demanded (application/cms)")
        now = self._now() if self._clock.is_set else None
        try:
            found = self._party.open(body, "GWA", now)
        except CmsError as error:
            raise HttpRefusal(422, f"content: {error}") from error
        if found.signer.name.casefold() != peer.name.casefold():
            raise HttpRefusal(403, f"content signed by {found.signer.cn}, sent by {peer.cn}")
        detail = {"signer": found.signer.cn, "suites": list(found.suites), "bytes": len(body)}
        self._journal.event("GWA", SMGW, "message", "content.opened", detail=detail, raw=body)
        return inner(found.content, request.method, request.path)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() // 1000, UTC)


def wrapped(method: str, path: str, body: bytes) -> bytes:
    """What is enveloped: the body with the order it is for."""
    return json.dumps({"method": method, "path": path, "body": body.decode()}).encode()


def inner(content: bytes, method: str, path: str) -> bytes:
    """The body again. Raises HttpRefusal where the content is for another order."""
    try:
        found = json.loads(content)
        stated, body = (found["method"], found["path"]), found["body"].encode()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HttpRefusal(422, "content: not an order with method, path and body") from error
    if stated != (method, path.partition("?")[0]):
        raise HttpRefusal(422, f"content: signed for {stated[0]} {stated[1]}")
    return body
