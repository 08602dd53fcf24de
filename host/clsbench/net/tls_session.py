"""One TLS connection that keeps the policy and says why it ended.

Between asyncio and OpenSSL: looks at the first hello of the other side, refuses what OpenSSL
would bear, names the true reason of a failed handshake, sends the alert that asyncio before
gh-98078 (2026) drops, and ends a connection on which renegotiation is attempted.
Knows no files and no roles.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from socket import socket
from typing import Any, NoReturn

from clsbench.net.tls_hello import (
    EXT_KEY_SHARE,
    MAX_HELLO,
    HelloUnreadable,
    client_hello,
    form_of,
    server_hello,
)
from clsbench.net.tls_judge import (
    Fault,
    Rules,
    client_fault,
    server_fault,
    why_client_failed,
    why_server_failed,
)
from clsbench.net.tls_reasons import Explained, reason_of

RENEGOTIATION = "renegotiation attempted"
RESUMPTION = "resumption of a session"
TOO_OLD = "session older than allowed"
GRACE_S = 5.0  # for the owner to cut a session between two requests
MAX_KNOWN, MAX_FORM = 64, 1024  # forms of hellos that are remembered, bytes of each; kinds, too
_ALERT = 21
_ALERT_HANDSHAKE_FAILURE = 40


def session_s(transport: asyncio.BaseTransport, at_most: float) -> float:
    """Real seconds that the TLS session of `transport` may last, `at_most` at most."""
    found = transport.get_extra_info("ssl_object")
    return min(at_most, found.session_s) if isinstance(found, PolicySession) else at_most


class PolicySession(ssl.SSLObject):
    """An SSLObject with rules; made by `PolicyContext.wrap_bio`, which sets the fields.

    known: forms of clients' hellos (`tls_hello.form_of`) that broke no rule, shared by all
    sessions of these rules; kinds: of their certificates (`pki.kinds`), likewise. raw: the
    socket beneath, to which the alert of a failed handshake is sent, or None. told(reason):
    called when the connection is ended for a sin after the handshake. session_s: real seconds
    after which nothing is read or written any more; who owns the connection cuts it by itself
    before (`session_s`).
    """

    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    rules: Rules
    known: set[bytes]
    kinds: set[tuple[bytes, ...]]
    raw: socket | None = None
    told: Callable[[str], None] | None = None
    session_s: float = float("inf")
    _ends_s: float = float("inf")
    _heard = b""
    _judged = False
    _established = False

    def do_handshake(self) -> None:
        """As of SSLObject. Raises ssl.SSLError, of kind Explained where the policy knows more."""
        try:
            if not self._judged:
                self._judge()
            super().do_handshake()
            if self.session_reused:  # where OpenSSL could not be told to keep none
                raise Explained(RESUMPTION)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._send_alert()
            why = "" if isinstance(error, Explained) else self._why(error)
            if why:
                raise Explained(why) from error
            raise
        self._established = True
        self._heard = b""
        self._ends_s = time.monotonic() + self.session_s + GRACE_S

    def getpeercert(self, binary_form: bool = False) -> Any:
        """As of SSLObject, in binary form; in the other one, which asyncio asks for after each
        handshake and nobody here looks at, {}: it is a twentieth of a session's memory."""
        return super().getpeercert(True) if binary_form else {}

    def read(self, len=1024, buffer=None):
        """As of SSLObject; raises Explained where the other side breaks the policy."""
        self._check_age()
        try:
            got = super().read(len, buffer)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if self.outgoing.pending:
                self._look_for_renegotiation()
            raise
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError, ssl.SSLSyscallError):
            raise
        except ssl.SSLError as error:
            self._end(reason_of(error), error)
        if self.outgoing.pending:
            self._look_for_renegotiation()
        return got

    def write(self, data) -> int:
        """As of SSLObject; raises Explained when the session is too old."""
        self._check_age()
        return super().write(data)

    def _check_age(self) -> None:
        if time.monotonic() > self._ends_s:
            raise Explained(TOO_OLD)

    def _judge(self) -> None:
        """Looks at the other side's first hello, as soon as it is whole."""
        if not self.incoming.pending:
            return
        fresh = self.incoming.read()
        self.incoming.write(fresh)
        self._heard += fresh
        form = form_of(self._heard) if self.server_side else b""
        if form in self.known:
            self._judged = True
            return
        try:
            fault = self._fault(form)
        except HelloUnreadable:
            return  # OpenSSL will say what it is; `_why` has nothing to add
        if fault is None and not self._judged and len(self._heard) > MAX_HELLO:
            fault = Fault("hello longer than any TLS knows", _ALERT_HANDSHAKE_FAILURE)
        if fault is not None:
            self.outgoing.write(bytes((_ALERT, 3, 3, 0, 2, 2, fault.alert)))
            raise Explained(fault.reason)

    def _fault(self, form: bytes) -> Fault | None:
        if self.server_side:
            asked = client_hello(self._heard)
            self._judged = asked is not None
            fault = client_fault(asked, self.rules) if asked else None
            if asked and fault is None and EXT_KEY_SHARE not in asked.extensions:
                self._remember(form)
            return fault
        chosen = server_hello(self._heard)
        self._judged = chosen is not None
        return server_fault(chosen) if chosen else None

    def _remember(self, form: bytes) -> None:
        """Boxes of a kind say hello alike; a hello with a key in it never comes again."""
        if 0 < len(form) <= MAX_FORM:
            if len(self.known) >= MAX_KNOWN:
                self.known.clear()
            self.known.add(form)

    def remember_kind(self, key: tuple[bytes, ...]) -> None:
        """A certificate of this kind has broken no rule."""
        if sum(map(len, key)) <= MAX_FORM:
            if len(self.kinds) >= MAX_KNOWN:
                self.kinds.clear()
            self.kinds.add(key)

    def _why(self, error: ssl.SSLError) -> str:
        """The reason that the hello shows, "" where OpenSSL's own is the whole truth."""
        if isinstance(error, ssl.SSLCertVerificationError) or "ALERT" in (error.reason or ""):
            return ""
        try:
            if self.server_side:
                asked = client_hello(self._heard)
                return why_client_failed(asked, self.rules) if asked else ""
            chosen = server_hello(self._heard)
            return why_server_failed(chosen, self.rules) if chosen else ""
        except HelloUnreadable:
            return ""

    def _look_for_renegotiation(self) -> None:
        """OpenSSL answers an attempt with a warning; nothing else makes it send while it reads.

        In TLS 1.2 alone: in TLS 1.3 an attempt is an error, and an answer looks like data.
        """
        if not self._established or self.version() != "TLSv1.2":
            return
        answer = self.outgoing.read()
        self.outgoing.write(answer)
        if answer[0] == _ALERT:
            self._send_alert()
            self._end(RENEGOTIATION, None)

    def _end(self, reason: str, cause: ssl.SSLError | None) -> NoReturn:
        if self.told is not None:
            self.told(reason)
        raise Explained(reason) from cause

    def _send_alert(self) -> None:
        if self.raw is None:
            return  # a connection not made by net.listener: leave the alert to its owner
        try:
            self.raw.send(self.outgoing.read())
        except OSError:
            return  # the peer has gone, there is nobody left to tell
