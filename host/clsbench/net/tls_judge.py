"""Judges hellos by a policy: what OpenSSL would bear though it is forbidden, and why it failed.

OpenSSL says "no shared cipher" where the truth may be "offers curves of another kind only". The
hello itself tells. Pure: hellos and a policy in, words out.
"""

from dataclasses import dataclass

from clsbench.net import tls_names as names
from clsbench.net.tls_hello import (
    EXT_EARLY_DATA,
    EXT_ENCRYPT_THEN_MAC,
    EXT_RENEGOTIATION,
    EXT_TRUNCATED_HMAC,
    ClientHello,
    ServerHello,
)
from clsbench.net.tls_policy import CBC_NUMBERS, NUMBERS_12, NUMBERS_13, TlsPolicy

TLS_12, TLS_13 = 0x0303, 0x0304
FALLBACK = 0x5600  # TLS_FALLBACK_SCSV, RFC 7507
_SIGNALS = (0x00FF, FALLBACK)
_ECDSA = (0x0403, 0x0503, 0x0603, 0x081A, 0x081B, 0x081C)
_DOWNGRADE = (b"DOWNGRD\x01", b"DOWNGRD\x00")  # RFC 8446 section 4.1.3

ALERT_HANDSHAKE_FAILURE = 40
ALERT_ILLEGAL_PARAMETER = 47
ALERT_UNRECOGNIZED_NAME = 112


@dataclass(frozen=True)
class Rules:
    """What a context stands for: its policy, whether it offers TLS 1.3, groups it offers, and
    the server name that a client must state ("" for none)."""

    policy: TlsPolicy
    tls_13: bool
    groups: tuple[str, ...]
    server_name: str = ""

    @property
    def versions(self) -> tuple[int, ...]:
        """Allowed ones, highest first."""
        return (TLS_13, TLS_12) if self.tls_13 else (TLS_12,)

    @property
    def group_numbers(self) -> frozenset[int]:
        """As on the wire."""
        return frozenset(number for number, name in names.GROUPS.items() if name in self.groups)


@dataclass(frozen=True)
class Fault:
    """A reason in words, and the alert that tells the other side."""

    reason: str
    alert: int


def client_fault(hello: ClientHello, rules: Rules) -> Fault | None:
    """What OpenSSL would bear of a client though it is forbidden, else None."""
    if _best(hello, rules) is None:
        return None  # OpenSSL refuses it; `why_client_failed` says why
    if EXT_EARLY_DATA in hello.extensions:
        return Fault("0-RTT data offered", ALERT_ILLEGAL_PARAMETER)
    if 0 not in hello.point_formats:
        return Fault("uncompressed points not offered", ALERT_ILLEGAL_PARAMETER)
    wanted, stated = rules.server_name, hello.server_name
    if wanted and stated.casefold() != wanted.casefold():
        told = f"server name '{stated}' is not served here" if stated else "no server name stated"
        return Fault(f"{told} (expected {wanted})", ALERT_UNRECOGNIZED_NAME)
    common = [suite for suite in hello.suites if suite in NUMBERS_12]
    plain_12 = TLS_12 in hello.versions and _best(hello, rules) == TLS_12
    if plain_12 and common and _only_bare_cbc(common, hello.extensions):
        told = "offers CBC suites only, and no encrypt-then-MAC"
        return Fault(told, ALERT_HANDSHAKE_FAILURE)
    return None


def server_fault(hello: ServerHello) -> Fault | None:
    """What OpenSSL would bear of a server though it is forbidden, else None."""
    if EXT_TRUNCATED_HMAC in hello.extensions:
        return Fault("the server chose truncated HMACs", ALERT_ILLEGAL_PARAMETER)
    if hello.version == TLS_12 and _only_bare_cbc([hello.suite], hello.extensions):
        told = "the server chose a CBC suite without encrypt-then-MAC"
        return Fault(told, ALERT_HANDSHAKE_FAILURE)
    return None


def why_client_failed(hello: ClientHello, rules: Rules) -> str:
    """What is wrong with a client's hello that OpenSSL refused; "" when nothing shows."""
    best = _best(hello, rules)
    if best is None:
        return f"TLS version not allowed: {_versions_offered(hello)}"
    if FALLBACK in hello.suites and best < rules.versions[0]:
        return f"downgrade: the client fell back to {names.VERSIONS[best]} (TLS_FALLBACK_SCSV)"
    if 0 not in hello.compressions:
        return f"compression demanded: {names.named(hello.compressions, names.COMPRESSIONS)}"
    if hello.extensions.get(EXT_RENEGOTIATION, b"\x00") != b"\x00":
        return "renegotiation attempted in a first hello"
    allowed = NUMBERS_13 if best == TLS_13 else NUMBERS_12
    if not set(hello.suites) & set(allowed):
        offered = [suite for suite in hello.suites if suite not in _SIGNALS]
        return f"no common cipher suite: offers {names.named(offered, names.SUITES)}"
    if hello.groups and not set(hello.groups) & rules.group_numbers:
        return f"no common curve: offers {names.named(hello.groups, names.GROUPS)}"
    if hello.signatures and not set(hello.signatures) & set(_ECDSA):
        offered = names.named(hello.signatures, names.SIGNATURES)
        return f"no common signature algorithm: offers {offered}"
    return ""


def why_server_failed(hello: ServerHello, rules: Rules) -> str:
    """What is wrong with a server's hello that OpenSSL refused; "" when nothing shows."""
    if hello.version not in rules.versions:
        chosen = names.VERSIONS.get(hello.version, f"0x{hello.version:04x}")
        return f"TLS version not allowed: the server chose {chosen}"
    if rules.tls_13 and hello.version < TLS_13 and hello.random[24:] in _DOWNGRADE:
        return "downgrade: the server knows TLS 1.3 and was made to choose TLS 1.2"
    allowed = NUMBERS_13 if hello.version == TLS_13 else NUMBERS_12
    if hello.suite not in allowed:
        chosen = names.named((hello.suite,), names.SUITES)
        return f"cipher suite not allowed: the server chose {chosen}"
    if hello.compression:
        chosen = names.named((hello.compression,), names.COMPRESSIONS)
        return f"compression not allowed: the server chose {chosen}"
    return ""


def _best(hello: ClientHello, rules: Rules) -> int | None:
    """The version that both sides can, or None. A legacy field above TLS 1.2 means TLS 1.2."""
    offered = set(hello.versions)
    if 43 not in hello.extensions and hello.versions and hello.versions[0] > TLS_12:
        offered = {TLS_12}
    return next((version for version in rules.versions if version in offered), None)


def _only_bare_cbc(suites: list[int], extensions: dict[int, bytes]) -> bool:
    return EXT_ENCRYPT_THEN_MAC not in extensions and all(s in CBC_NUMBERS for s in suites)


def _versions_offered(hello: ClientHello) -> str:
    if not hello.versions:
        return "the client offers none"
    best = names.VERSIONS.get(hello.versions[0], f"0x{hello.versions[0]:04x}")
    worst = hello.versions[-1]
    if worst > TLS_12 or len(hello.versions) == 1 and worst >= TLS_12:
        return f"the client offers {best} alone"
    return f"the client offers at most {best}"
