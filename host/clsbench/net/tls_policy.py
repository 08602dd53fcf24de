"""What TLS may be, by network: versions, suites, curves, signatures, certificates, sessions.

Data alone. Source: TR-03116-3 (state 2025) sections 4.1 and 4.2 of its TLS chapter; certificate
life times: BSI detail specification 2.0. Names of curves and suites are those of OpenSSL.
"""

from dataclasses import dataclass, field

# 0xC02B and 0xC023 must, 0xC02C and 0xC024 should, nothing else may be offered
SUITES_12 = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
)
NUMBERS_12 = (0xC02B, 0xC02C, 0xC023, 0xC024)
CBC_NUMBERS = (0xC023, 0xC024)  # allowed with encrypt-then-MAC only (from 2025 on)
SUITES_13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_AES_128_CCM_SHA256")
NUMBERS_13 = (0x1301, 0x1302, 0x1304)
SIGNATURES = ("ECDSA+SHA256", "ECDSA+SHA384", "ECDSA+SHA512")
BRAINPOOL_SIGNATURES_13 = (
    "ecdsa_brainpoolP256r1tls13_sha256",
    "ecdsa_brainpoolP384r1tls13_sha384",
    "ecdsa_brainpoolP512r1tls13_sha512",
)

WAN_SESSION_H = HAN_SESSION_H = 48
LMN_SESSION_H = 31 * 24

_BRAINPOOL = ("brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1")
_BRAINPOOL_13 = tuple(f"{name}tls13" for name in _BRAINPOOL)  # RFC 8734
_TWO_YEARS = 2 * 366
_SEVEN_YEARS = 7 * 366


@dataclass(frozen=True)
class TlsPolicy:
    """The rules of one network.

    groups: curves of the key agreement, the preferred one first; with an OpenSSL that takes one
    only, it is this one. groups_13: further ones that TLS 1.3 alone knows. key_curves: where the
    keys of certificates may lie. max_days: longest life of an end user's certificate.
    """

    name: str
    groups: tuple[str, ...]
    groups_13: tuple[str, ...]
    key_curves: frozenset[str] = field(repr=False)
    session_h: int
    max_days: int
    tls_13: bool = True
    crl_of_all: bool = False  # the lists of every authority, not that of the end user's alone

    @property
    def needs_brainpool_13(self) -> bool:
        """True when certificates are of no use in TLS 1.3 unless OpenSSL knows RFC 8734."""
        return any(curve in self.key_curves for curve in _BRAINPOOL)


WAN = TlsPolicy(
    "WAN",
    ("brainpoolP256r1", "brainpoolP384r1", "secp256r1"),
    _BRAINPOOL_13[:2],
    frozenset(_BRAINPOOL[:2]),
    WAN_SESSION_H,
    _TWO_YEARS,
    crl_of_all=True,
)
HAN_BRAINPOOL = TlsPolicy(
    "HAN brainpool",
    (*_BRAINPOOL, "secp256r1", "secp384r1"),
    _BRAINPOOL_13,
    frozenset(_BRAINPOOL),
    HAN_SESSION_H,
    _TWO_YEARS,
)
HAN_SECP256R1 = TlsPolicy(  # what boards with stock MicroPython can
    "HAN secp256r1",
    ("secp256r1", "secp384r1", *_BRAINPOOL),
    _BRAINPOOL_13,
    frozenset(("secp256r1", "secp384r1")),
    HAN_SESSION_H,
    _TWO_YEARS,
)
LMN = TlsPolicy(
    "LMN",
    ("brainpoolP256r1", "brainpoolP384r1", "secp256r1"),
    _BRAINPOOL_13[:2],
    frozenset((*_BRAINPOOL[:2], "secp256r1")),
    LMN_SESSION_H,
    _SEVEN_YEARS,
    tls_13=False,  # its encrypted handshake records could not be cut to fit a frame
)
HAN_PROFILES = {"brainpool": HAN_BRAINPOOL, "secp256r1": HAN_SECP256R1}


def session_s(policy: TlsPolicy, clock_speed: int = 1) -> float:
    """The longest session in real seconds, on a clock `clock_speed` times as fast."""
    return policy.session_h * 3600 / clock_speed
