"""Certificate requests (PKCS#10) of a WAN party's triplet: made by its owner, judged, certified.

A request holds a name, a public key and the extensions wanted, signed by the key itself. Pure:
knows neither files nor who brings a request. Sources: RFC 2986; SM-PKI policy (a triplet is
renewed as a whole, with new keys).
"""

from collections.abc import Collection, Mapping
from typing import cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.errors import PeerRefused
from clsbench.pki import authority
from clsbench.pki.authority import Issued, Validity
from clsbench.pki.names import PURPOSES, UNREADABLE, purpose_of

_BEGIN = b"-----BEGIN CERTIFICATE REQUEST-----"
_MAX_BYTES = 16_384

Keys = Mapping[str, ec.EllipticCurvePrivateKey]
Requests = dict[str, x509.CertificateSigningRequest]


class BadRequest(PeerRefused):
    """A request is not what a gateway may ask for; the text says which and why."""


def new_requests(cn: str, keys: Keys) -> bytes:
    """PEM with one request for each purpose of `keys`, in the order of PURPOSES."""
    made = []
    for purpose in PURPOSES:
        builder = x509.CertificateSigningRequestBuilder().subject_name(authority.name_of(cn))
        for value, critical in authority.end_extensions(purpose, cn.lower()):
            builder = builder.add_extension(value, critical)
        made.append(builder.sign(keys[purpose], hashes.SHA256()))
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in made)


def read_requests(
    pem: bytes, cn: str, curves: Collection[str], known: Collection[ec.EllipticCurvePublicKey] = ()
) -> Requests:
    """The requests of a triplet by purpose, each judged.

    cn: of the party, the only one allowed; curves: where keys may lie, by the names of
    `cryptography`; known: keys that are in use already. Raises BadRequest when one is missing,
    too many, damaged, for another name, not signed by its own key (proof of possession), for a
    key that is not new, or asks for extensions that its purpose does not have.
    """
    if len(pem) > _MAX_BYTES:
        raise BadRequest(f"{len(pem)} bytes of requests, at most {_MAX_BYTES}")
    try:
        found = [x509.load_pem_x509_csr(_BEGIN + part) for part in pem.split(_BEGIN)[1:]]
        by_purpose = {_purpose(each): each for each in found}
    except UNREADABLE as error:
        raise BadRequest(f"request cannot be read: {error}") from error
    if len(found) != len(PURPOSES) or set(by_purpose) != set(PURPOSES):
        raise BadRequest(f"not one request for each of {', '.join(PURPOSES)}")
    used = [_point(key) for key in known]
    for purpose, each in by_purpose.items():
        _check(purpose, each, cn, curves)
        point = _point(cast(ec.EllipticCurvePublicKey, each.public_key()))
        if point in used:
            raise BadRequest(f"request for {purpose}: its key is not new")
        used.append(point)
    return by_purpose


def certify(requests: Requests, cn: str, span: Validity, issuer: Issued) -> dict[str, bytes]:
    """Certificates for judged requests, by purpose: PEM, own first, then the issuer's."""
    made = {
        purpose: authority.end_certificate(
            cn,
            purpose,
            cast(ec.EllipticCurvePublicKey, each.public_key()),
            span,
            issuer,
            cn.lower(),
        )
        for purpose, each in requests.items()
    }
    chain = issuer.certificate.public_bytes(serialization.Encoding.PEM)
    return {
        purpose: each.public_bytes(serialization.Encoding.PEM) + chain
        for purpose, each in made.items()
    }


def _purpose(request: x509.CertificateSigningRequest) -> str:
    # looks at extensions alone, which requests have as certificates do
    return purpose_of(cast(x509.Certificate, request))


def _check(
    purpose: str, request: x509.CertificateSigningRequest, cn: str, curves: Collection[str]
) -> None:
    key = request.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in curves:
        raise BadRequest(f"request for {purpose}: key is not on {', '.join(sorted(curves))}")
    if not _holds(request, key):
        raise BadRequest(f"request for {purpose}: not signed by the key it asks for")
    if request.subject != authority.name_of(cn):
        named = request.subject.rfc4514_string()
        raise BadRequest(f"request for {purpose}: for {named}, not for {cn}")
    wanted = {each.oid: (each.critical, each.value) for each in request.extensions}
    allowed = {
        value.oid: (critical, value)
        for value, critical in authority.end_extensions(purpose, cn.lower())
    }
    if wanted != allowed:
        raise BadRequest(f"request for {purpose}: asks for other extensions than it may have")


def _holds(request: x509.CertificateSigningRequest, key: ec.EllipticCurvePublicKey) -> bool:
    algorithm = request.signature_hash_algorithm
    if not isinstance(algorithm, hashes.SHA256):
        return False
    try:
        key.verify(request.signature, request.tbs_certrequest_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
