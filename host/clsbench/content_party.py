"""One party of the WAN as content security knows it: its signature and encryption keys on disk.

Protects for a recipient named by certificate, opens what was protected for this party. Renewed
files are taken up by the next use, and the key before still opens what was under way. Joins files
with `smgw.core.content`; knows no connection.
"""

from datetime import datetime
from pathlib import Path

from clsbench.errors import BadInput
from clsbench.pki.live import LivePair
from clsbench.smgw.core.cms_envelope import CBC_CMAC, GCM
from clsbench.smgw.core.cms_keys import OwnKey, Recipient
from clsbench.smgw.core.content import (
    MEDIA_TYPE,
    SIGNED_ENVELOPED,
    OpenedContent,
    Signer,
    make,
    open_content,
)

SUITES = {"gcm": GCM, "cbc-cmac": CBC_CMAC}  # as configuration files name them
KEPT_KEYS = 2  # the present one and the one before


class ContentParty:
    """folder: that of the party in the PKI (sig.*, enc.*); trust: PEM with sub-CA and root."""

    def __init__(self, folder: Path, trust: Path):
        self._trust = trust
        self._sig = LivePair(folder / "sig.crt.pem", folder / "sig.key.pem")
        self._enc = LivePair(folder / "enc.crt.pem", folder / "enc.key.pem")
        self._pair = (b"", b"")
        self._keys: list[OwnKey] = []
        self._own_keys()  # a wrong key is found at start

    def protect(
        self,
        content: bytes,
        recipient: Path,
        at: datetime,
        suite: str = GCM,
        compressed: bool = True,
    ) -> bytes:
        """The whole message for the holder of this encryption certificate (PEM).

        Raises BadInput where the certificate is none, or the content too large.
        """
        try:
            certificate = recipient.read_bytes()
        except OSError as error:
            raise BadInput(
                f"{recipient}: {error.strerror}. It is the recipient's encryption certificate"
            ) from error
        signer = Signer(*self._sig.current())
        return make(content, signer, Recipient.of(certificate), at, suite, compressed)

    def open(self, message: bytes, role: str, now: datetime | None = None) -> OpenedContent:
        """What a message for this party holds; see `open_content`. Raises CmsError."""
        return open_content(message, self._trust.read_bytes(), self._own_keys(), role, now)

    def _own_keys(self) -> list[OwnKey]:
        pair = self._enc.current()
        if pair != self._pair:
            self._keys = [OwnKey.of(*pair), *self._keys][:KEPT_KEYS]
            self._pair = pair
        return self._keys


def media_type() -> str:
    """The content type of a protected message over HTTP (RFC 7193)."""
    return f'{MEDIA_TYPE}; encapsulatingContent="{SIGNED_ENVELOPED}"'
