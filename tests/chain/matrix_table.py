"""The TLS matrix: what is refused with which reason, and what is accepted.

The one source of the tests and of the table in docs/tls.md (tools/tls_matrix.py writes it). Each
row is tried in the direction it names at every interface of its network.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import matrix_hellos as hellos
from matrix_hellos import client_hello

from clsbench.net import tls_names
from clsbench.net.tls_policy import HAN_SECP256R1, NUMBERS_12, SUITES_12, WAN

BOTH, WAN_ONLY, HAN_ONLY = "WAN, HAN", "WAN", "HAN"


@dataclass(frozen=True)
class Row:
    """Something refused. reason: part of what our side logs. networks: one of the three above.

    hello: bytes sent, made for a server name. lite: settings of tlslite. cert: a method of Forge.
    needs_13: only where TLS 1.3 is on.
    """

    kind: str
    name: str
    text: str
    reason: str
    networks: str = BOTH
    hello: Callable[[str], bytes] | None = None
    lite: dict = field(default_factory=dict)
    cert: str = ""
    needs_13: bool = False


def _suite(number: int, what: str) -> Row:
    name = tls_names.SUITES[number]

    def hello(server: str) -> bytes:
        return client_hello(server, suites=(number, hellos.SCSV))

    reason = f"no common cipher suite: offers {name}"
    return Row("suite", f"suite-{number:04x}", f"{what}: {name}", reason, hello=hello)


def _curve(number: int, networks: str = BOTH) -> Row:
    name = tls_names.GROUPS[number]
    reason = f"no common curve: offers {name}"
    return Row(
        "curve",
        f"curve-{name}",
        f"{name} alone",
        reason,
        networks,
        hello=lambda server: client_hello(server, groups=(number,)),
    )


def _raw(
    kind: str, name: str, text: str, reason: str, networks=BOTH, needs_13=False, **how
) -> Row:
    return Row(
        kind,
        name,
        text,
        reason,
        networks,
        hello=lambda server: client_hello(how.get("server_name", server), **_rest(how)),
        needs_13=needs_13,
    )


def _rest(how: dict) -> dict:
    return {key: value for key, value in how.items() if key != "server_name"}


def lite_row(kind: str, name: str, text: str, reason: str, networks: str = BOTH, **how) -> Row:
    return Row(kind, f"lite-{name}", f"{text} (tlslite-ng)", reason, networks, lite=how)


_NO_SUITE, _NO_CURVE = "no common cipher suite: offers ", "no common curve: offers "

# what a client may not do, at each of our ports
FROM_CLIENTS = (
    Row(
        "version",
        "ssl-2.0",
        "hello of SSL 2.0",
        "at most SSL 2.0",
        hello=lambda _server: hellos.ssl2_hello(),
    ),
    _raw(
        "version",
        "ssl-3.0",
        "SSL 3.0",
        "version not allowed: the client offers at most SSL 3.0",
        legacy=0x0300,
    ),
    _raw(
        "version",
        "tls-1.0",
        "TLS 1.0",
        "version not allowed: the client offers at most TLS 1.0",
        legacy=0x0301,
    ),
    _raw(
        "version",
        "tls-1.1",
        "TLS 1.1",
        "version not allowed: the client offers at most TLS 1.1",
        legacy=0x0302,
    ),
    _raw(
        "version",
        "tls-1.1-listed",
        "TLS 1.1 by supported_versions",
        "offers at most TLS 1.1",
        versions=(0x0302, 0x0301),
    ),
    _raw(
        "version",
        "unborn",
        "a version that does not exist",
        "the client offers 0x0305 alone",
        versions=(0x0305,),
    ),
    lite_row("version", "tls-1.0", "TLS 1.0", "the client offers at most TLS 1.0", version=(3, 1)),
    lite_row("version", "tls-1.1", "TLS 1.1", "the client offers at most TLS 1.1", version=(3, 2)),
    _suite(0x0002, "no encryption"),
    _suite(0xC006, "no encryption"),
    _suite(0x0034, "no authentication"),
    _suite(0xC018, "no authentication"),
    _suite(0x0005, "RC4"),
    _suite(0xC007, "RC4"),
    _suite(0x000A, "3DES"),
    _suite(0xC008, "3DES"),
    _suite(0x002F, "no forward secrecy, RSA"),
    _suite(0x009C, "no forward secrecy, RSA"),
    _suite(0xC025, "no forward secrecy, ECDH"),
    _suite(0x008C, "pre-shared key"),
    _suite(0x009E, "finite-field DH"),
    _suite(0xC02F, "RSA certificate"),
    _suite(0xC009, "CBC with SHA-1"),
    _suite(0xC00A, "CBC with SHA-1"),
    _suite(0xC0AC, "CCM in TLS 1.2"),
    _suite(0xC0AE, "CCM with a short tag"),
    _suite(0xCCA9, "ChaCha20"),
    lite_row("suite", "rc4", "RC4", _NO_SUITE, version=(3, 3), cipher="rc4"),
    lite_row("suite", "3des", "3DES", _NO_SUITE, cipher="3des"),
    lite_row("suite", "null", "no encryption", _NO_SUITE, cipher="null"),
    lite_row("suite", "cbc-sha1", "CBC with SHA-1", _NO_SUITE, cipher="aes128", mac="sha"),
    lite_row("suite", "ccm", "CCM in TLS 1.2", _NO_SUITE, cipher="aes128ccm"),
    lite_row("suite", "ccm8", "CCM with a short tag", _NO_SUITE, cipher="aes128ccm_8"),
    lite_row("suite", "chacha", "ChaCha20", _NO_SUITE, cipher="chacha20-poly1305"),
    lite_row("suite", "rsa", "no forward secrecy", _NO_SUITE, exchange="rsa"),
    lite_row("suite", "dhe", "finite-field DH", _NO_SUITE, exchange="dhe_rsa"),
    lite_row("suite", "ecdhe-rsa", "RSA certificate", _NO_SUITE, exchange="ecdhe_rsa"),
    _raw(
        "suite",
        "suite-1303",
        "ChaCha20 in TLS 1.3",
        _NO_SUITE,
        BOTH,
        True,
        versions=(0x0304,),
        suites=(0x1303,),
        more={51: hellos.key_share()},
    ),
    _raw(
        "suite",
        "suite-1305",
        "CCM with a short tag in TLS 1.3",
        _NO_SUITE,
        BOTH,
        True,
        versions=(0x0304,),
        suites=(0x1305,),
        more={51: hellos.key_share()},
    ),
    _raw(
        "suite",
        "cbc-without-etm",
        "CBC suites without encrypt-then-MAC",
        "CBC suites only, and no encrypt-then-MAC",
        suites=(0xC023, 0xC024),
        etm=False,
    ),
    _curve(19),
    _curve(21),
    _curve(22),
    _curve(25),
    _curve(29),
    _curve(30),
    _curve(256),
    _curve(24, WAN_ONLY),
    _curve(28, WAN_ONLY),
    lite_row("curve", "x25519", "x25519", _NO_CURVE, group="x25519"),
    lite_row("curve", "x448", "x448", _NO_CURVE, group="x448"),
    lite_row("curve", "secp521r1", "secp521r1", _NO_CURVE, group="secp521r1"),
    lite_row("curve", "secp256k1", "secp256k1", _NO_CURVE, group="secp256k1"),
    _raw(
        "curve",
        "curve-13-x25519",
        "x25519 in TLS 1.3",
        _NO_CURVE,
        BOTH,
        True,
        versions=(0x0304,),
        suites=(0x1301,),
        groups=(29,),
        more={51: hellos.key_share(29, bytes(31) + b"\x09")},
    ),
    _raw(
        "curve",
        "compressed-points",
        "compressed points alone",
        "uncompressed points not offered",
        points=b"\x01\x02",
    ),
    _raw(
        "signature",
        "rsa",
        "RSA signatures alone",
        "no common signature algorithm: offers rsa_",
        signatures=(0x0401, 0x0804),
    ),
    _raw(
        "signature",
        "sha1",
        "SHA-1 signatures alone",
        "no common signature algorithm: offers ecdsa_sha1",
        signatures=(0x0203, 0x0201),
    ),
    _raw(
        "session",
        "compression",
        "compression demanded",
        "compression demanded: deflate",
        compressions=b"\x01",
    ),
    _raw(
        "session",
        "renegotiation-at-once",
        "renegotiation in a first hello",
        "renegotiation attempted",
        renegotiation=b"\x0c" + bytes(12),
    ),
    _raw(
        "session",
        "downgrade",
        "TLS 1.2 by fallback (TLS_FALLBACK_SCSV)",
        "downgrade: the client fell back",
        BOTH,
        True,
        suites=(*hellos.SUITES, 0x5600),
    ),
    _raw("session", "0-rtt", "0-RTT data", "0-RTT data offered", more={42: b""}),
    _raw(
        "name",
        "no-sni",
        "no server name where one is demanded",
        "no server name stated (expected ",
        server_name="",
    ),
    _raw(
        "name",
        "wrong-sni",
        "another server name",
        "server name 'evil.example' is not served here",
        server_name="evil.example",
    ),
    Row(
        "session",
        "http",
        "plain HTTP",
        "not TLS",
        hello=lambda _s: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    Row(
        "session",
        "noise",
        "bytes that are nothing",
        "not TLS",
        hello=lambda _s: b"\x00\x01\x02noise" * 40,
    ),
)

RENEGOTIATION = "renegotiation attempted"

_CERTIFICATES = (
    ("expired", "expired", "certificate expired"),
    ("not-yet-valid", "not yet valid", "certificate not yet valid"),
    ("unknown-ca", "of another CA of the same name", "unknown CA"),
    ("forged", "in the CA's name, signed by another key", "certificate signature is wrong"),
    ("self-signed", "self-signed", "unknown CA (self-signed certificate)"),
    ("revoked", "revoked", "certificate revoked"),
    ("issued-by-an-end-user", "issued by an end user", "issuer is no CA"),
    ("ca-itself", "the CA's own", "certificate is not made for this use"),
    ("key-on-another-curve", "key on a curve of another network", "which the "),
    ("lives-too-long", "longer than two years", "732 are allowed"),
    ("no-role", "name without role", "names no role"),
    ("wrong-role", "of another role", ""),
    ("wrong-name", "of another party", ""),
    ("for-signing", "for signatures", "is for sig, not for TLS"),
    ("for-encrypting", "for encryption", "is for enc, not for TLS"),
)
CERTIFICATES_OF_CLIENTS = (
    *(Row("certificate", n, t, r, cert=n) for n, t, r in _CERTIFICATES),
    Row("certificate", "missing", "none shown", "no certificate shown", cert=""),
    Row("certificate", "one-end-only", "for clients alone", "not for both", cert="one-end-only"),
    Row(
        "certificate",
        "other-end-only",
        "for servers alone",
        "not made for this use",
        cert="other-end-only",
    ),
)
_NO_SERVER = ("for-encrypting", "ca-itself")  # with these no server can be made at all
CERTIFICATES_OF_SERVERS = (
    *(Row("certificate", n, t, r, cert=n) for n, t, r in _CERTIFICATES if n not in _NO_SERVER),
    Row(
        "certificate",
        "one-end-only",
        "for clients alone",
        "not made for this use",
        cert="one-end-only",
    ),
    Row(
        "certificate", "other-end-only", "for servers alone", "not for both", cert="other-end-only"
    ),
)
LISTS = (
    Row("revocation list", "list-expired", "expired", "revocation list expired"),
    Row("revocation list", "list-missing", "of the issuer missing", "no revocation list"),
    Row(
        "revocation list", "list-forged", "of another key than the issuer's", "no revocation list"
    ),
)


# what is accepted: every suite on every curve, by tlslite (and by OpenSSL, which is ours)
LITE_SUITES_12 = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": {"cipher": "aes128gcm"},
    "ECDHE-ECDSA-AES256-GCM-SHA384": {"cipher": "aes256gcm"},
    "ECDHE-ECDSA-AES128-SHA256": {"cipher": "aes128", "mac": "sha256"},
    "ECDHE-ECDSA-AES256-SHA384": {"cipher": "aes256", "mac": "sha384"},
}
LITE_SUITES_13 = {
    "TLS_AES_128_GCM_SHA256": {"cipher": "aes128gcm", "version": (3, 4)},
    "TLS_AES_256_GCM_SHA384": {"cipher": "aes256gcm", "version": (3, 4)},
    "TLS_AES_128_CCM_SHA256": {"cipher": "aes128ccm", "version": (3, 4)},
}
GROUPS = {WAN_ONLY: WAN.groups, HAN_ONLY: HAN_SECP256R1.groups}
assert tuple(LITE_SUITES_12) == SUITES_12 and len(NUMBERS_12) == 4
