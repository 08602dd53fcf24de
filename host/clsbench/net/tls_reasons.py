"""Readable reasons for TLS handshakes that failed, from what OpenSSL and asyncio report.

Knows the vocabulary only: X.509 verify codes (our refusal of the peer's certificate) and alerts
(the peer's refusal of ours, RFC 5246 section 7.2.2). What only the hello shows comes from
`net.tls_judge` as an Explained.
"""

import ssl

TIMED_OUT = "TLS connection not made in time"
CLOSED = "closed during the TLS handshake"

# X509_V_ERR_* of OpenSSL's x509_vfy.h
_VERIFY = {
    3: "no revocation list of the certificate's issuer",
    7: "certificate signature is wrong",
    9: "certificate not yet valid",
    8: "revocation list signature is wrong",
    10: "certificate expired",
    11: "revocation list not yet valid",
    12: "revocation list expired",
    18: "unknown CA (self-signed certificate)",
    19: "unknown CA",
    20: "unknown CA",
    21: "unknown CA",
    22: "certificate chain too long",
    23: "certificate revoked",
    24: "issuer is no CA",
    25: "CA stands too high above the certificate",
    26: "certificate is not made for this use",
    34: "certificate has a critical extension nobody knows",
    79: "issuer is no CA",
}

_ALERTS = {
    "BAD_CERTIFICATE": "bad certificate (damaged, not yet valid, or against its rules)",
    "CERTIFICATE_EXPIRED": "certificate expired",
    "CERTIFICATE_UNKNOWN": "certificate not accepted",
    "CERTIFICATE_REVOKED": "certificate revoked",
    "UNSUPPORTED_CERTIFICATE": "certificate is not made for this use",
    "UNKNOWN_CA": "unknown CA",
    "ACCESS_DENIED": "access denied",
    "DECRYPT_ERROR": "signature does not fit the certificate",
    "HANDSHAKE_FAILURE": "no common cipher suite or curve, or no certificate shown",
    "PROTOCOL_VERSION": "TLS version not allowed",
    "INSUFFICIENT_SECURITY": "cipher suite or curve too weak",
    "NO_RENEGOTIATION": "renegotiation not allowed",
    "ILLEGAL_PARAMETER": "a parameter against the rules of TLS",
    "UNRECOGNIZED_NAME": "server name not served there",
    "INAPPROPRIATE_FALLBACK": "downgrade",
    "NO_CERTIFICATE": "no certificate shown",
    "CERTIFICATE_REQUIRED": "no certificate shown",
    "UNEXPECTED_MESSAGE": "message out of turn",
}

_LOCAL = {
    "RENEGOTIATION_MISMATCH": "renegotiation attempted in a first hello",
    "RENEGOTIATION_ENCODING_ERR": "renegotiation attempted in a first hello",
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": "hello without renegotiation info (RFC 5746)",
    "INAPPROPRIATE_FALLBACK": "downgrade",
    "NO_SHARED_SIGNATURE_ALGORITHMS": "no common signature algorithm",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no common signature algorithm",
    "WRONG_SIGNATURE_TYPE": "signature algorithm not allowed",
    "NO_SUITABLE_KEY_SHARE": "no common curve",
    "NO_SUITABLE_GROUPS": "no common curve",
    "BAD_KEY_SHARE": "no common curve",
    "BAD_EXTENSION": "an extension that nobody asked for, or a damaged one",
    "UNSOLICITED_EXTENSION": "an extension that nobody asked for",
    "VERSION_TOO_LOW": "TLS version not allowed",
    "UNKNOWN_CERTIFICATE_TYPE": "certificate's key is of a kind not allowed here",
    "TLS_INVALID_ECPOINTFORMAT_LIST": "uncompressed points not offered",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no certificate shown",
    "NO_SHARED_CIPHER": "no common cipher suite or curve",
    "NO_SHARED_GROUP": "no common curve",
    "WRONG_CURVE": "certificate is on a curve not allowed here",
    "UNSUPPORTED_PROTOCOL": "TLS version not allowed",
    "WRONG_VERSION_NUMBER": "not TLS",
    "HTTP_REQUEST": "not TLS (plain HTTP)",
    "HTTPS_PROXY_REQUEST": "not TLS (plain HTTP)",
    "BAD_SIGNATURE": "handshake signature does not fit the certificate",
    "UNEXPECTED_EOF_WHILE_READING": CLOSED,
}

_NOT_TLS = ("RECORD", "PACKET_LENGTH", "UNEXPECTED_MESSAGE", "BAD_PROTOCOL_VERSION_NUMBER")


class Explained(ssl.SSLError):
    """A refusal whose reason is known better than OpenSSL tells it; `why` is one clause."""

    def __init__(self, why: str):
        super().__init__(1, why)
        self.why = why


def reason_of(error: BaseException) -> str:
    """One short clause saying why a handshake failed; the peer's own words are marked as such."""
    if isinstance(error, Explained):
        return error.why
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY.get(error.verify_code, f"certificate refused: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return _of_ssl(error)
    if is_timeout(error):
        return TIMED_OUT
    return CLOSED


def is_timeout(error: BaseException) -> bool:
    """True when asyncio gave up waiting (it reports a late handshake as an aborted connection)."""
    return isinstance(error, ConnectionAbortedError | TimeoutError)


def is_refusal(error: BaseException) -> bool:
    """True when a side refused by TLS's own means; false for silence and a mere close."""
    return isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError)


def _of_ssl(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    _, is_alert, alert = reason.partition("ALERT_")
    if is_alert:
        said = _ALERTS.get(alert, alert.replace("_", " ").lower())
        return f"the other side refused: {said}"
    if reason in _LOCAL:
        return _LOCAL[reason]
    if any(mark in reason for mark in _NOT_TLS):
        return f"not TLS ({reason.replace('_', ' ').lower()})"
    return f"TLS handshake failed: {reason.replace('_', ' ').lower() or error}"
