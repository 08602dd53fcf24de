"""Certificates that must be refused, each wrong in one way. Made by the test PKI's own keys."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from clsbench.net.tls import Identity
from clsbench.pki import authority, files, operations
from clsbench.pki.authority import Issued, Validity
from clsbench.pki.layout import Pki
from clsbench.pki.names import ENC, SIG, TLS

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


class Forge:
    """Makes identities in one network. wan: of the WAN, else of the HAN; cn: the right one."""

    def __init__(self, pki: Pki, foreign: Pki, folder: Path, wan: bool, cn: str):
        self._pki, self._foreign = pki, foreign
        self._folder, self._wan, self._cn = folder, wan, cn
        self.issuer = pki.wan_authorities()[0] if wan else pki.han_ca()
        self._other = foreign.wan_authorities()[0] if wan else foreign.han_ca()
        now = datetime.now(UTC).replace(microsecond=0)
        self._now = now
        self._span = Validity(now - timedelta(days=1), now + timedelta(days=100))

    def make(self, name: str) -> Identity:
        """The identity of this name, a method's."""
        maker: Callable[[], Issued] = getattr(self, name.replace("-", "_"))
        folder = self._folder / name
        identity = Identity(folder / "tls.crt.pem", folder / "tls.key.pem")
        if not folder.is_dir():
            folder.mkdir(parents=True)
            made = maker()
            files.write_key(identity.key, made.key, Encoding.PEM)
            files.write_pem(identity.cert, made.certificate, *self._chain)
            self._chain = ()
        return identity

    _chain: tuple[x509.Certificate, ...] = ()

    def good(self) -> Issued:
        return self._issue()

    def expired(self) -> Issued:
        return self._issue(
            Validity(self._now - timedelta(hours=9), self._now - timedelta(hours=1))
        )

    def not_yet_valid(self) -> Issued:
        return self._issue(
            Validity(self._now + timedelta(hours=1), self._now + timedelta(hours=9))
        )

    def unknown_ca(self) -> Issued:
        return authority.new_end(self._cn, TLS, self._span, self._other, self._cn.lower())

    def forged(self) -> Issued:
        key = ec.generate_private_key(authority.end_curve(self.issuer))
        return self._build(key, Issued(self.issuer.certificate, self._other.key))

    def self_signed(self) -> Issued:
        key = ec.generate_private_key(authority.end_curve(self.issuer))
        return self._build(key, None)

    def revoked(self) -> Issued:
        made = self._issue()
        operations.revoke_certificates(self._pki, [made.certificate], "key-compromise")
        return made

    def no_role(self) -> Issued:
        return self._issue(cn="someone.example")

    def wrong_role(self) -> Issued:
        return self._issue(cn="ETST0099999999.CLS" if self._wan else "gwa-test.GWA")

    def wrong_name(self) -> Issued:
        name, _, role = self._cn.rpartition(".")
        other = "other-party" if name.isalpha() or "-" in name else "ETST0099999999"
        return self._issue(cn=f"{other}.{role}")

    def for_signing(self) -> Issued:
        return authority.new_end(self._cn, SIG, self._span, self.issuer)

    def for_encrypting(self) -> Issued:
        return authority.new_end(self._cn, ENC, self._span, self.issuer)

    def ca_itself(self) -> Issued:
        return self.issuer

    def issued_by_an_end_user(self) -> Issued:
        end = self._issue()
        self._chain = (end.certificate,)
        return authority.new_end(self._cn, TLS, self._span, end, self._cn.lower())

    def key_on_another_curve(self) -> Issued:
        curve = ec.SECP256R1() if self._wan else ec.BrainpoolP256R1()
        return self._build(ec.generate_private_key(curve), self.issuer)

    def one_end_only(self) -> Issued:
        key = ec.generate_private_key(authority.end_curve(self.issuer))
        return self._build(key, self.issuer, usages=(CLIENT,))

    def other_end_only(self) -> Issued:
        key = ec.generate_private_key(authority.end_curve(self.issuer))
        return self._build(key, self.issuer, usages=(SERVER,))

    def lives_too_long(self) -> Issued:
        return self._issue(Validity(self._span.start, self._span.start + timedelta(days=900)))

    def _hours(self, begin: int, end: int) -> Validity:
        return Validity(self._now + timedelta(hours=begin), self._now + timedelta(hours=end))

    def _issue(self, span: Validity | None = None, cn: str = "") -> Issued:
        cn = cn or self._cn
        return authority.new_end(cn, TLS, span or self._span, self.issuer, cn.lower())

    def _build(self, key, issuer: Issued | None, usages=(SERVER, CLIENT)) -> Issued:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self._cn)])
        signer = key if issuer is None else issuer.key
        named = key.public_key() if issuer is None else issuer.certificate.public_key()
        assert isinstance(named, ec.EllipticCurvePublicKey)
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name if issuer is None else issuer.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._span.start)
            .not_valid_after(self._span.end)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(named), False)
        )
        return Issued(builder.sign(signer, authority.hash_of(signer)), key)
