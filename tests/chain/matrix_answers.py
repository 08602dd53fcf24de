"""The part of the TLS matrix that servers may not do to our clients; see matrix_table."""

from matrix_hellos import server_hello
from matrix_table import WAN_ONLY, Row, lite_row


def _answer(kind: str, name: str, text: str, reason: str, needs_13: bool = False, **how) -> Row:
    return Row(
        kind,
        name,
        text,
        reason,
        WAN_ONLY,
        hello=lambda _s: server_hello(**how),
        needs_13=needs_13,
    )


# what a server may not do to our clients, by hand
FROM_SERVERS = (
    _answer("version", "ssl-3.0", "SSL 3.0", "the server chose SSL 3.0", version=0x0300),
    _answer("version", "tls-1.0", "TLS 1.0", "the server chose TLS 1.0", version=0x0301),
    _answer("version", "tls-1.1", "TLS 1.1", "the server chose TLS 1.1", version=0x0302),
    _answer(
        "suite",
        "null",
        "no encryption",
        "the server chose TLS_ECDHE_ECDSA_WITH_NULL_SHA",
        suite=0xC006,
    ),
    _answer(
        "suite",
        "anonymous",
        "no authentication",
        "TLS_ECDH_anon_WITH_AES_128_CBC_SHA",
        suite=0xC018,
    ),
    _answer("suite", "rsa", "no forward secrecy", "TLS_RSA_WITH_AES_128_CBC_SHA", suite=0x002F),
    _answer(
        "suite", "cbc-sha1", "CBC with SHA-1", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", suite=0xC009
    ),
    _answer("suite", "chacha", "ChaCha20", "WITH_CHACHA20_POLY1305_SHA256", suite=0xCCA9),
    _answer(
        "suite",
        "cbc-without-etm",
        "CBC without encrypt-then-MAC",
        "CBC suite without encrypt-then-MAC",
        suite=0xC023,
    ),
    _answer(
        "session",
        "compression",
        "compression",
        "compression not allowed: the server chose deflate",
        compression=1,
    ),
    _answer(
        "session",
        "no-renegotiation-info",
        "no renegotiation info (RFC 5746)",
        "hello without renegotiation info",
        renegotiation=None,
    ),
    _answer(
        "session",
        "downgrade",
        "TLS 1.2 with the mark of a downgrade",
        "downgrade",
        True,
        random=bytes(24) + b"DOWNGRD\x01",
    ),
    _answer(
        "session",
        "truncated-hmac",
        "truncated HMACs",
        "the server chose truncated HMACs",
        more={4: b""},
    ),
    Row(
        "session",
        "http",
        "plain HTTP",
        "not TLS",
        WAN_ONLY,
        hello=lambda _s: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ),
    Row(
        "session",
        "hang-up",
        "closed in the handshake",
        "closed during the TLS handshake",
        WAN_ONLY,
        hello=lambda _s: b"",
    ),
)
CURVES_OF_SERVERS = (29, 25, 22, 30)

LITE_SERVERS = (
    lite_row("version", "tls-1.1", "TLS 1.1 alone", "the other side refused: ", version=(3, 2)),
    lite_row(
        "suite", "chacha", "ChaCha20 alone", "the other side refused: ", cipher="chacha20-poly1305"
    ),
    lite_row(
        "suite",
        "cbc-sha1",
        "CBC with SHA-1 alone",
        "the other side refused: ",
        cipher="aes128",
        mac="sha",
    ),
    lite_row("curve", "x25519", "x25519 alone", "the other side refused: ", group="x25519"),
    lite_row(
        "curve", "secp521r1", "secp521r1 alone", "the other side refused: ", group="secp521r1"
    ),
)
