"""Client of the aEMT's operator interface: what a flexibility management calls.

Speaks HTTP on the role's unix domain socket; whoever may open that file is the operator.
"""

from types import TracebackType
from typing import Any

import aiohttp

from clsbench.errors import BadInput, EnvironmentProblem, PeerRefused, PeerSilent

ANSWER_WITHIN_S = 90.0  # more than a command's deadline
_ERRORS = {400: BadInput, 404: BadInput, 409: PeerRefused, 403: PeerRefused, 504: PeerSilent}


class OperatorClient:
    """`async with OperatorClient(path) as operator: await operator.switch(...)`."""

    def __init__(self, socket: str, timeout_s: float = ANSWER_WITHIN_S):
        self._path = socket
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "OperatorClient":
        self._session = aiohttp.ClientSession(
            base_url="http://operator",
            connector=aiohttp.UnixConnector(path=self._path),
            timeout=self._timeout,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def switch(
        self,
        cls_id: str,
        action: str,
        *,
        uuid: str | None = None,
        text: str = "",
        event_ms: int | None = None,
        taf_profile: str | None = None,
    ) -> dict[str, Any]:
        """One command, brought to its answer: {"code","seq","text","uuid","latency_ms"}.

        Raises PeerRefused (with the reason), PeerSilent (outcome unknown: repeat with the
        same uuid), BadInput, EnvironmentProblem (no aEMT at the socket).
        """
        content = {
            "cls_id": cls_id,
            "action": action,
            "uuid": uuid,
            "text": text,
            "event_ms": event_ms,
            "taf_profile": taf_profile,
        }
        given = {name: value for name, value in content.items() if value is not None}
        return await self._ask("POST", "/switch", given)

    async def records(self) -> list[dict[str, Any]]:
        """Verified gateway records; `content` is the signed JSON, `cms` the DER in hex."""
        return (await self._ask("GET", "/records"))["records"]

    async def device_records(self) -> list[dict[str, Any]]:
        """Sealed device records; `sealed` in hex."""
        return (await self._ask("GET", "/device-records"))["records"]

    async def commands(self) -> list[dict[str, Any]]:
        """All commands with state and timings."""
        return (await self._ask("GET", "/commands"))["commands"]

    async def status(self) -> dict[str, Any]:
        """Name, open channels, numbers stored."""
        return await self._ask("GET", "/status")

    async def _ask(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        if self._session is None:
            raise BadInput("OperatorClient: use it in `async with`")
        try:
            async with self._session.request(method, path, json=content) as answer:
                body = await answer.json()
        except aiohttp.ClientConnectorError as error:
            raise EnvironmentProblem(
                f"no aEMT answers at {self._path}: start it with clsbench emt serve --config FILE"
            ) from error
        except (TimeoutError, aiohttp.ClientError) as error:
            raise PeerSilent(f"aEMT at {self._path} did not finish {path}: {error!r}") from error
        if answer.status != 200:
            raise _ERRORS.get(answer.status, PeerRefused)(body.get("error", f"{answer.status}"))
        return body
