"""A command's way to a box over its CLS channel, in the form the command engine knows.

The engine brings a command to its answer whatever the way; here the answer of the box becomes
the one that a gateway would have passed on.
"""

import json
import uuid as uuidlib
from typing import Any

from clsbench.emt.cls_channel import ClsChannels
from clsbench.emt.cls_session import ClsSession
from clsbench.emt.command_row import LIMIT
from clsbench.net.reverse import HttpAnswer


class ChannelWay:
    """To one box. `ready` first, then `send`."""

    def __init__(self, channels: ClsChannels, cls_id: str):
        self._channels = channels
        self._cls_id = cls_id

    @property
    def ordered(self) -> bool:
        """Whether the GWA is asked for a channel; else box or gateway open it."""
        return self._channels.orders(self._cls_id)

    def stands(self) -> bool:
        """Whether there is a channel now."""
        return self._cls_id in self._channels.names()

    async def ready(self, within_s: float, uuid: str | None = None) -> ClsSession:
        """The channel that `send` takes. uuid: of the switching that needs it. Raises PeerSilent,
        PeerRefused."""
        return await self._channels.session(self._cls_id, within_s, uuid)

    async def send(self, session: ClsSession, row: dict[str, Any], within_s: float) -> HttpAnswer:
        """Sends the command of a row. Raises PeerSilent."""
        uuid = uuidlib.UUID(row["uuid"]).bytes
        limit = (row["limit_w"], row["duration_s"]) if row["action"] == LIMIT else None
        code, seq, text = await session.command(
            row["action"], uuid, row["text"], row["event_ms"], within_s, limit
        )
        content = {"code": code, "seq": seq, "text": text}
        return HttpAnswer(200, {}, json.dumps(content).encode())
