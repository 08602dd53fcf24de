"""Client of the aEMT's operator interface: what a flexibility management calls.

Speaks HTTP on the role's unix domain socket; whoever may open that file is the operator.
"""

from typing import Any

from clsbench.net.operator import ANSWER_WITHIN_S, OperatorAsker


class OperatorClient(OperatorAsker):
    """`async with OperatorClient(path) as operator: await operator.switch(...)`.

    Raises PeerRefused (with the reason), PeerSilent (outcome unknown: repeat with the same uuid),
    BadInput, EnvironmentProblem (no aEMT at the socket).
    """

    def __init__(self, socket: str, timeout_s: float = ANSWER_WITHIN_S):
        super().__init__("emt", socket, timeout_s)

    async def switch(self, cls_id: str, action: str, **content: Any) -> dict[str, Any]:
        """One command, brought to its answer: {"code","seq","text","uuid","latency_ms"}.

        content: uuid, text, event_ms, taf_profile; with action `limit` also limit_w and
        duration_s. What is None is left out.
        """
        return await self._post("/switch", cls_id=cls_id, action=action, **content)

    async def event(self, cls_id: str, event: str, **content: Any) -> dict[str, Any]:
        """An external event: the gateway reads its meter and signs; switches nothing.

        content as in `switch`; returns {"seq","captured_ms","uuid","latency_ms"}.
        """
        return await self._post("/event", cls_id=cls_id, event=event, **content)

    async def read(self, smgw_id: str, taf_profile: str) -> dict[str, Any]:
        """A reading on demand (TAF9, TAF10): {"seq", "captured_ms"} of its record."""
        return await self._post("/read", smgw_id=smgw_id, taf_profile=taf_profile)

    async def records(self) -> list[dict[str, Any]]:
        """Verified gateway records; `content` is the signed JSON, `cms` the DER in hex."""
        return (await self.ask("GET", "/records"))["records"]

    async def device_records(self) -> list[dict[str, Any]]:
        """Sealed device records; `sealed` in hex."""
        return (await self.ask("GET", "/device-records"))["records"]

    async def commands(self) -> list[dict[str, Any]]:
        """All commands with state and timings."""
        return (await self.ask("GET", "/commands"))["commands"]

    async def status(self) -> dict[str, Any]:
        """Name, role, open channels, numbers stored."""
        return await self.ask("GET", "/status")

    async def _post(self, path: str, **content: Any) -> dict[str, Any]:
        given = {name: value for name, value in content.items() if value is not None}
        return await self.ask("POST", path, given)
