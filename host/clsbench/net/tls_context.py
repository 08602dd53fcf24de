"""Contexts that hold a policy, and take up new certificates and revocation lists while in use.

A context looks at its files before each connection; when they have changed, connections from
then on are made by a successor built of the new ones. Where that fails, the old one goes on:
a renewal in the midst of being written stops nobody. A revocation list that was there once
stays required. Knows no sockets and no roles.
"""

import logging
import os
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from clsbench.errors import BadInput, ClsbenchError, EnvironmentProblem
from clsbench.net import tls_openssl
from clsbench.net.tls_judge import Rules
from clsbench.net.tls_policy import (
    BRAINPOOL_SIGNATURES_13,
    SIGNATURES,
    SUITES_12,
    SUITES_13,
    TlsPolicy,
    session_s,
)
from clsbench.net.tls_session import PolicySession

log = logging.getLogger(__name__)

_OPTIONS = (
    ssl.OP_NO_RENEGOTIATION
    | ssl.OP_NO_COMPRESSION
    | ssl.OP_NO_TICKET
    | ssl.OP_SINGLE_ECDH_USE
    | ssl.OP_CIPHER_SERVER_PREFERENCE
)

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"

# One socket, laid here by net.listener for the next handshake and taken out by it: a failed one
# sends its alert there. A list, because copies of the context must find it taken, too.
alert_socket: ContextVar[list[socket] | None] = ContextVar("alert_socket", default=None)

Stamp = tuple[int, int, int] | None
Told = Callable[[str, bool], None]


@dataclass(frozen=True)
class Identity:
    """Paths of a certificate (PEM, own first, then its issuers) and its private key (PEM)."""

    cert: Path
    key: Path


@dataclass(frozen=True)
class Crl:
    """A file of revocation lists (PEM), one of each authority of the chain.

    required: without the file there is no TLS; else it counts from when it is there.
    """

    path: Path
    required: bool = False


@dataclass(frozen=True)
class Material:
    """The files a context is made of."""

    identity: Identity
    trust: Path
    crl: Crl | None = None

    def paths(self) -> tuple[str, ...]:
        """Every file."""
        own = (str(self.identity.cert), str(self.identity.key), str(self.trust))
        return own if self.crl is None else (*own, str(self.crl.path))


def stamps(paths: tuple[str, ...]) -> tuple[Stamp, ...]:
    """Differs from that of before when a file was replaced or written to."""
    return tuple(_stamp(path) for path in paths)


@dataclass(frozen=True)
class Plan:
    """All a context is made by. partial_chain: an end certificate may be the anchor (LMN).

    guests: a client's certificate is asked for, not insisted on. groups: () for the policy's.
    """

    protocol: int
    policy: TlsPolicy
    material: Material
    server_name: str = ""
    groups: tuple[str, ...] = ()
    guests: bool = False
    partial_chain: bool = False


class PolicyContext(ssl.SSLContext):
    """SSLContext of a plan. told(text, good): a change of its files was taken up, or not.

    session_s: the longest session in real seconds; that of the policy, unless set to another.
    known, kinds: forms of hellos and kinds of certificates that break no rule of it.
    """

    sslobject_class = PolicySession
    plan: Plan
    rules: Rules
    told: Told
    crl_in_force: bool
    session_s: float
    known: set[bytes]
    kinds: set[tuple[bytes, ...]]
    _paths: tuple[str, ...]
    _stamps: tuple[Stamp, ...]
    _successor: "PolicyContext | None" = None

    def wrap_bio(self, incoming, outgoing, server_side=False, server_hostname=None, session=None):
        """A connection by the newest files."""
        context = self.current()
        made = ssl.SSLContext.wrap_bio(
            context, incoming, outgoing, server_side, server_hostname, session
        )
        assert isinstance(made, PolicySession)
        made.incoming, made.outgoing = incoming, outgoing
        made.rules, made.known, made.kinds = context.rules, context.known, context.kinds
        made.session_s = self.session_s
        laid = alert_socket.get()
        made.raw = laid.pop() if laid else None
        return made

    def wrap_socket(self, *args, **kwargs):
        """A blocking connection by the newest files (without a look at hellos)."""
        return ssl.SSLContext.wrap_socket(self.current(), *args, **kwargs)

    def current(self) -> "PolicyContext":
        """Itself, or its successor when the files have changed."""
        found = stamps(self._paths)
        newest = self._successor or self
        if found == self._stamps:
            return newest
        self._stamps = found
        try:
            self._successor = newest = build(self.plan, newest.crl_in_force)
        except ClsbenchError as error:
            self.told(f"files changed, kept those of before: {error}", False)
        else:
            self.told(f"{self.plan.material.identity.cert}: new files in force", True)
        return newest


def build(plan: Plan, crl_required: bool = False) -> PolicyContext:
    """The context of a plan. Raises BadInput for a file that is missing or wrong,
    EnvironmentProblem when this OpenSSL has none of the curves."""
    context = PolicyContext(plan.protocol)
    context.plan = plan
    context.told = _log
    context._paths = plan.material.paths()
    context._stamps = stamps(context._paths)
    context.session_s = session_s(plan.policy)
    context.known, context.kinds = set(), set()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_OPTIONAL if plan.guests else ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if plan.partial_chain:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.options |= _OPTIONS
    tls_openssl.keep_no_sessions(context)
    if plan.protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # of TLS 1.3, where OP_NO_TICKET makes them mere numbers
    context.set_ciphers(":".join(SUITES_12))
    _set_versions_and_groups(context, plan)
    _load(context, plan.material)
    context.crl_in_force = _load_crl(context, plan.material.crl, crl_required)
    return context


def tls_13_possible(policy: TlsPolicy) -> bool:
    """True when TLS 1.3 can be held to the policy, with certificates as the policy has them."""
    if not policy.tls_13 or not tls_openssl.can_set_all():
        return False
    return not policy.needs_brainpool_13 or tls_openssl.knows_group(policy.groups_13[0])


def _set_versions_and_groups(context: PolicyContext, plan: Plan) -> None:
    policy = plan.policy
    groups = tuple(name for name in plan.groups or policy.groups if tls_openssl.knows_group(name))
    tls_13 = tls_13_possible(policy)
    if not groups:
        raise EnvironmentProblem(
            f"{ssl.OPENSSL_VERSION} of this Python has no curve {policy.groups[0]}. "
            "Use a Python linked to a full OpenSSL 3; see: clsbench doctor"
        )
    if not tls_openssl.can_set_all():
        groups = groups[:1]
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_3 if tls_13 else ssl.TLSVersion.TLSv1_2
    signatures = SIGNATURES
    if tls_13:
        tls_openssl.set_suites_13(context, SUITES_13)
        also = [f"{name}tls13" for name in groups if f"{name}tls13" in policy.groups_13]
        if also and all(map(tls_openssl.knows_group, also)):
            groups = _brainpool_beside(groups, also)
            signatures = (*BRAINPOOL_SIGNATURES_13, *signatures)
    tls_openssl.set_groups(context, groups)
    if tls_openssl.can_set_all():
        tls_openssl.set_signatures(context, signatures)
    context.rules = Rules(policy, tls_13, groups, plan.server_name)


def _brainpool_beside(groups: tuple[str, ...], also: list[str]) -> tuple[str, ...]:
    """Each brainpool curve of TLS 1.3 stands beside its like of TLS 1.2, so preference holds."""
    found: list[str] = []
    for name in groups:
        found += [f"{name}tls13"] if f"{name}tls13" in also else []
        found.append(name)
    return tuple(found)


def _load(context: ssl.SSLContext, material: Material) -> None:
    identity, trust = material.identity, material.trust
    for path in (trust, identity.cert, identity.key):
        if not Path(path).is_file():
            raise BadInput(
                f"{path}: no such file. Make a test PKI with: clsbench pki init --out DIR"
            )
    try:
        context.load_verify_locations(cafile=trust)
    except ssl.SSLError as error:
        raise BadInput(
            f"{trust}: not a PEM file of trusted certificates ({error.reason})"
        ) from error
    try:
        # an empty password, so that OpenSSL never asks for one on the terminal
        context.load_cert_chain(identity.cert, identity.key, password="")
    except (ssl.SSLError, OSError) as error:
        raise BadInput(
            f"{identity.cert}, {identity.key}: not a certificate with its unencrypted "
            f"private key ({error}). Was a renewal cut off? Run: clsbench pki renew"
        ) from error
    if identity.cert.read_bytes().count(_CERTIFICATE) == 1:
        tls_openssl.keep_own_chain(context)


def _load_crl(context: PolicyContext, crl: Crl | None, required: bool) -> bool:
    """Loads the lists; True when they are checked from now on."""
    if crl is None:
        return False
    if not Path(crl.path).is_file():
        if crl.required or required:
            raise BadInput(
                f"{crl.path}: no such file, and revocation lists are required. "
                "Issue them with: clsbench pki crl DIR"
            )
        return False
    try:
        context.load_verify_locations(cafile=crl.path)
    except ssl.SSLError as error:
        raise BadInput(
            f"{crl.path}: not a PEM file of revocation lists ({error.reason})"
        ) from error
    context.verify_flags |= (
        ssl.VERIFY_CRL_CHECK_CHAIN if context.plan.policy.crl_of_all else ssl.VERIFY_CRL_CHECK_LEAF
    )
    return True


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _log(text: str, good: bool) -> None:
    log.log(logging.INFO if good else logging.WARNING, "%s", text)
