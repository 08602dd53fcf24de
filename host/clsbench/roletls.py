"""A role's TLS: contexts by its configuration, and what is told of their files.

Told, as events and in the role's log: files that were renewed and taken up (`tls.files`), and
certificates or revocation lists near their end (`pki.expiring`).
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from clsbench.net.tls import PolicyContext, wan_client, wan_server
from clsbench.net.tls_policy import session_s
from clsbench.pki.names import PURPOSES
from clsbench.pki.watch import Ending, ExpiryWatch
from clsbench.roleconfig import PkiDir

log = logging.getLogger(__name__)

FILES, EXPIRING = "tls.files", "pki.expiring"
Tell = Callable[[str, bool, str, dict[str, Any]], None]


class RoleTls:
    """party: folder of the PKI (`gwa`, `smgw`, `emt-<name>`). tell(name, good, text, detail).

    clock_speed: of the bench's clock, by which sessions age.
    """

    def __init__(self, pki: PkiDir, party: str, tell: Tell, clock_speed: int = 1):
        self._pki = pki
        self._clock_speed = clock_speed
        self._identity = pki.wan_identity(party)
        self._tell = tell
        folder = pki.dir / party
        own = [folder / f"{purpose}.crt.pem" for purpose in PURPOSES]
        own += [pki.dir / "sub.crt.pem", pki.dir / "root.crt.pem"]
        lists = [crl.path for crl in (pki.wan_crl,) if crl is not None]
        if party == "smgw":
            own += [pki.han_identity.cert, pki.dir / "han" / "ca.crt.pem"]
            lists += [crl.path for crl in (pki.han_crl,) if crl is not None]
        self._watch = ExpiryWatch(own, lists, pki.warn_days, self._ending)
        self._task: asyncio.Task[None] | None = None

    def server(self, server_name: str = "") -> PolicyContext:
        """For a port of the WAN; server_name: what clients must state. Raises BadInput."""
        crl = self._pki.wan_crl
        return self.told_of(wan_server(self._identity, self._pki.wan_trust, crl, server_name))

    def client(self) -> PolicyContext:
        """For connections that this role opens on the WAN. Raises BadInput."""
        return self.told_of(wan_client(self._identity, self._pki.wan_trust, self._pki.wan_crl))

    def told_of(self, context: PolicyContext) -> PolicyContext:
        """The context, its changes of files told, its sessions ageing by the bench's clock."""
        context.told = self._changed
        context.session_s = session_s(context.plan.policy, self._clock_speed)
        return context

    def age_s(self) -> float:
        """Seconds of the bench's clock since whenever, for the age of what stands; no steps."""
        return time.monotonic() * self._clock_speed

    def start(self) -> None:
        """Begins to look for what ends."""
        self._task = asyncio.create_task(self._watch.run())

    def close(self) -> None:
        """Ends looking."""
        if self._task is not None:
            self._task.cancel()

    def _changed(self, text: str, good: bool) -> None:
        log.log(logging.INFO if good else logging.WARNING, "%s", text)
        self._tell(FILES, good, text, {"reason": text})

    def _ending(self, found: Ending) -> None:
        log.warning("%s", found.text)
        until = f"{found.until:%Y-%m-%dT%H:%M:%SZ}"
        detail = {"file": str(found.path), "subject": found.subject, "valid_until": until}
        self._tell(EXPIRING, False, found.text, {**detail, "state": found.state})
