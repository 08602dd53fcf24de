"""Who came to the HAN by TLS: a control box, a person by certificate, or a guest without any.

Knows certificates and profiles. A person's certificate is known by its fingerprint in the
profile, whatever name it carries.
"""

import hashlib
import ssl
from collections.abc import Callable

from cryptography import x509

from clsbench.errors import PeerRefused
from clsbench.net.tls import Identity, han_server, peer_of
from clsbench.pki.names import UNREADABLE, Peer, cn_of
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.han.connection import GUEST
from clsbench.smgw.han.door import role_of

Identify = Callable[[ssl.SSLObject | None], Peer]


def identifier(profiles: Profiles) -> Identify:
    """Tells visitors apart; raises PeerRefused for a certificate that names nobody."""

    def identify(ssl_object: ssl.SSLObject | None) -> Peer:
        der = None if ssl_object is None else ssl_object.getpeercert(binary_form=True)
        if not der:
            return GUEST
        person = profiles.person_by_fingerprint(hashlib.sha256(der).hexdigest())
        if person is None:
            return peer_of(ssl_object)
        try:
            certificate = x509.load_der_x509_certificate(der)
            return Peer(cn_of(certificate), person.name, role_of(person), person.fingerprint)
        except UNREADABLE as error:
            raise PeerRefused(f"certificate unreadable: {error}") from error

    return identify


def has_logins(profiles: Profiles) -> bool:
    """True when somebody may come in with a password."""
    return any(person.login for person in (*profiles.consumers, *profiles.services))


def context(identity: Identity, trust, curve: str, guests: bool) -> ssl.SSLContext:
    """TLS of the HAN as TR-03116-3 has it. guests: a certificate is asked for, not insisted on."""
    made = han_server(identity, trust)
    made.set_ecdh_curve(curve)
    if guests:
        made.verify_mode = ssl.CERT_OPTIONAL
    return made
