"""The aEMT's way to its GWA: orders a channel over the GWA's HTTPS service port.

Knows one request and its answers; a connection per request.
"""

import ssl

from clsbench.emt.config import EmtConfig, GwaSection
from clsbench.errors import ClsbenchError, PeerRefused, PeerSilent
from clsbench.net.listener import open_tls
from clsbench.net.reverse import HttpAnswer, HttpOverStream, http_client_protocol

ANSWER_WITHIN_S = 25.0  # the GWA waits up to 20 s for the SMGW
NOT_NOW = (404, 408, 500, 502, 503, 504)  # the gateway is away or unable at the moment


class Gwas:
    """All GWAs of an EMT: an order goes to the one that administers the gateway."""

    def __init__(self, config: EmtConfig, context: ssl.SSLContext):
        self._config = config
        self._context = context

    async def connect(self, smgw_id: str, uuid: str | None = None) -> None:
        """As `GwaClient.connect`."""
        await self._of(smgw_id).connect(smgw_id, uuid)

    async def open_proxy(self, smgw_id: str, proxy: str, uuid: str | None = None) -> None:
        """As `GwaClient.open_proxy`."""
        await self._of(smgw_id).open_proxy(smgw_id, proxy, uuid)

    def _of(self, smgw_id: str) -> "GwaClient":
        gwa = self._config.gwa_of(smgw_id)
        if gwa is None:
            raise PeerRefused(f"no GWA of SMGW {smgw_id} is configured: add [gwa]")
        return GwaClient(gwa, self._config.emt.name, self._context)


class GwaClient:
    """`emt_name`: for whom channels are ordered; must be the certificate's own."""

    def __init__(self, gwa: GwaSection, emt_name: str, context: ssl.SSLContext):
        self._gwa = gwa
        self._emt_name = emt_name
        self._context = context

    async def connect(self, smgw_id: str, uuid: str | None = None) -> None:
        """Orders the channel of one SMGW; uuid: of the switching that needs it.

        Raises PeerSilent where asking again later may help, PeerRefused where it may not.
        """
        more = {"uuid": uuid} if uuid else {}
        answer = await self._post("/gwa/v1/connect", smgw_id, **more)
        if answer.status == 200:
            return
        reason = f"GWA {self._gwa.name} answered {answer.status}: {answer.error_text()}"
        if answer.status in NOT_NOW:
            raise PeerSilent(reason)
        raise PeerRefused(reason)

    async def disconnect(self, smgw_id: str) -> None:
        """Ends the standing order of one SMGW's channel. Raises PeerSilent, PeerRefused."""
        answer = await self._post("/gwa/v1/disconnect", smgw_id)
        if answer.status != 200:
            raise PeerRefused(f"GWA {self._gwa.name} answered {answer.status}")

    async def open_proxy(self, smgw_id: str, proxy: str, uuid: str | None = None) -> None:
        """Orders a CLS channel by its proxy profile; it stands on return. uuid, errors: as
        `connect`."""
        more = {"uuid": uuid} if uuid else {}
        answer = await self._post("/gwa/v1/proxy", smgw_id, proxy=proxy, **more)
        if answer.status != 200:
            kind = PeerSilent if answer.status in NOT_NOW else PeerRefused
            raise kind(f"GWA {self._gwa.name} answered {answer.status}: {answer.error_text()}")

    async def _post(self, path: str, smgw_id: str, **more: str) -> HttpAnswer:
        opened: list[HttpOverStream] = []
        name = f"GWA {self._gwa.name}"
        try:
            transport, _ = await open_tls(
                self._gwa.host,
                self._gwa.service_port,
                self._context,
                "GWA",
                self._gwa.name,
                lambda: http_client_protocol(opened.append, name),
                server_name=self._gwa.tls_sni,
            )
        except PeerRefused:
            raise
        except ClsbenchError as error:
            raise PeerSilent(f"{name} cannot be reached: {error}") from error
        try:
            content = {"smgw_id": smgw_id, "emt_id": self._emt_name, **more}
            return await opened[0].request("POST", path, json=content, timeout_s=ANSWER_WITHIN_S)
        finally:
            transport.close()
