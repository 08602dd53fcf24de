"""The test SM-PKI on disk: which file lies where, making it, opening it, issuing into it.

DIR/root.{crt,key}.pem, sub.{crt,key}.pem, wan-trust.pem (sub-CA, root)
DIR/wan-crl.pem (revocation lists of sub-CA and root), DIR/han/crl.pem (of the HAN CA)
DIR/gwa, DIR/smgw, DIR/emt-<name>: {tls,enc,sig}.{crt,key}.pem (certificate files: own, sub-CA)
DIR/han: ca.crt.pem, ca.crt.der, ca.key.pem, smgw.{crt,key}.pem
DIR/cls-<cls_id>: cls.{crt,key}.{pem,der}
DIR/con-<name>, DIR/srv-<name>: con.{crt,key}.pem, srv.{crt,key}.pem (persons in the HAN, P-256)

What is done to a PKI later (revoke, renew) is in `pki.operations`.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from clsbench.errors import BadInput, EnvironmentProblem, PeerRefused
from clsbench.net.tls import Identity
from clsbench.pki import authority, crl, files
from clsbench.pki.authority import Issued, Validity
from clsbench.pki.directory import CLS, EMT, PERSON_ROLES, appearing_at, check_target
from clsbench.pki.names import (
    PURPOSES,
    TLS,
    UNREADABLE,
    check_device_id,
    check_party_name,
    cn_of,
    purpose_of,
    split_cn,
)

DEFAULT_SMGW = "ETST0010000001"
DEFAULT_GWA = "gwa-test"
DEFAULT_EMT = "flexmarkt"
DEFAULT_CLS = "ETST0020000017"

HAN_CURVES = {"secp256r1": authority.HAN_CURVE, "brainpool": authority.WAN_CURVE}


@dataclass(frozen=True)
class Triplet:
    """The three identities of a WAN party: TLS, encryption (key agreement), signature."""

    tls: Identity
    enc: Identity
    sig: Identity


@dataclass(frozen=True)
class ClsFiles:
    """A CLS identity in PEM (`identity`) and, for boards, in DER."""

    identity: Identity
    cert_der: Path
    key_der: Path


class Pki:
    """An existing PKI directory. Made by `init`, found by `open`."""

    def __init__(self, directory: Path, smgw_id: str, gwa_name: str):
        self.directory = directory
        self.smgw_id = smgw_id
        self.gwa_name = gwa_name
        self.root_cert = directory / "root.crt.pem"
        self.sub_cert = directory / "sub.crt.pem"
        self.wan_trust = directory / "wan-trust.pem"
        self.han_trust = directory / "han" / "ca.crt.pem"
        self.han_trust_der = directory / "han" / "ca.crt.der"
        self.wan_crl = directory / "wan-crl.pem"
        self.han_crl = directory / "han" / "crl.pem"
        self.gwa = _triplet(directory / "gwa")
        self.smgw = _triplet(directory / "smgw")
        self.smgw_han = _identity(directory / "han", "smgw")

    @classmethod
    def init(
        cls,
        directory: Path | str,
        smgw_id: str = DEFAULT_SMGW,
        gwa_name: str = DEFAULT_GWA,
        emt_names: tuple[str, ...] | list[str] = (DEFAULT_EMT,),
        cls_ids: tuple[str, ...] | list[str] = (DEFAULT_CLS,),
        *,
        overwrite: bool = False,
        start: datetime | None = None,
        han_profile: str = "secp256r1",
    ) -> "Pki":
        """Makes a whole PKI, which appears at `directory` in one step.

        han_profile: one of HAN_CURVES, what the keys of the HAN lie on.
        start: instant from which the certificates must hold when earlier than now (a bench
        clock may run in the past). Raises BadInput when a name is wrong, when the directory
        holds a PKI and `overwrite` is not set, or holds anything else in any case.
        """
        target = Path(os.path.abspath(directory))
        check_device_id(smgw_id)
        check_party_name(gwa_name)
        check_target(target, overwrite)
        try:
            with appearing_at(target) as beside:
                made = cls(beside, smgw_id, gwa_name)
                made._found(start, HAN_CURVES[han_profile])
                for name in dict.fromkeys(emt_names):
                    made.issue_emt(name, _end_span(start))
                for cls_id in dict.fromkeys(cls_ids):
                    made.issue_cls(cls_id, _end_span(start))
        except OSError as error:
            raise EnvironmentProblem(f"{target}: cannot write a PKI there ({error})") from error
        return cls(target, smgw_id, gwa_name)

    @classmethod
    def open(cls, directory: Path | str) -> "Pki":
        """Opens what `init` made. Raises BadInput naming the file that is missing or wrong."""
        target = Path(directory)
        smgw_id, _ = _name_in(target / "smgw" / "tls.crt.pem", "SMGW")
        gwa_name, _ = _name_in(target / "gwa" / "tls.crt.pem", "GWA")
        opened = cls(target, smgw_id, gwa_name)
        for path in (opened.wan_trust, opened.han_trust, opened.smgw_han.cert):
            if not path.is_file():
                raise _missing(path)
        return opened

    @property
    def emt_names(self) -> list[str]:
        """Names of the external market participants, sorted."""
        return self._folders(EMT)

    @property
    def cls_ids(self) -> list[str]:
        """CLS-IDs with a HAN certificate, sorted."""
        return self._folders(CLS)

    def emt(self, name: str) -> Triplet:
        """The identities of an external market participant. Raises BadInput when there is none."""
        return _triplet(self._folder(EMT, name, "--emt"))

    def cls_files(self, cls_id: str) -> ClsFiles:
        """All files of a CLS. Raises BadInput when it has no certificate."""
        folder = self._folder(CLS, cls_id, "--cls")
        return ClsFiles(_identity(folder, "cls"), folder / "cls.crt.der", folder / "cls.key.der")

    def cls(self, cls_id: str) -> Identity:
        """The HAN identity of a CLS. Raises BadInput when it has no certificate."""
        return self.cls_files(cls_id).identity

    def issue_emt(self, name: str, span: Validity | None = None) -> Triplet:
        """Adds an external market participant. Raises BadInput when it exists already."""
        folder = self._new_folder(EMT, check_party_name(name))
        self._write_triplet(folder, f"{name}.EMT", span or _end_span(None), self._sub())
        return _triplet(folder)

    def issue_cls(self, cls_id: str, span: Validity | None = None) -> ClsFiles:
        """Adds a CLS with its HAN certificate. Raises BadInput when it exists already."""
        folder = self._new_folder(CLS, check_device_id(cls_id))
        ca = self.han_ca()
        lower = cls_id.lower()
        issued = authority.new_end(
            f"{lower}.cls", TLS, span or _end_span(None), ca, dns_name=f"{lower}.sm"
        )
        files.write_pem(folder / "cls.crt.pem", issued.certificate)
        files.write_der(folder / "cls.crt.der", issued.certificate)
        files.write_key(folder / "cls.key.pem", issued.key, Encoding.PEM)
        files.write_key(folder / "cls.key.der", issued.key, Encoding.DER)
        return self.cls_files(cls_id)

    def issue_person(self, role: str, name: str, span: Validity | None = None) -> Identity:
        """Adds a person's HAN certificate; role: one of PERSON_ROLES. The gateway knows it by its
        fingerprint, the name is for people. Raises BadInput when it exists already."""
        folder = self._new_folder(f"{role}-", check_party_name(name))
        cn = f"{name}.{role}"
        issued = authority.new_end(
            cn, TLS, span or _end_span(None), self.han_ca(), dns_name=cn.lower()
        )
        _write_identity(_identity(folder, role), issued)
        return _identity(folder, role)

    def persons(self) -> list[Identity]:
        """The HAN certificates of persons, consumers first."""
        return [
            _identity(self.directory / f"{role}-{name}", role)
            for role in PERSON_ROLES
            for name in self._folders(f"{role}-")
        ]

    def issue_wan_to(
        self, folder: Path, cn: str, purpose: str = TLS, span: Validity | None = None
    ) -> Identity:
        """Any WAN certificate into any folder: to try what must be refused."""
        return self._issue_to(folder, cn, purpose, span, self._sub(), with_issuer=True)

    def issue_han_to(
        self, folder: Path, cn: str, purpose: str = TLS, span: Validity | None = None
    ) -> Identity:
        """Any HAN certificate into any folder: to try what must be refused."""
        return self._issue_to(folder, cn, purpose, span, self.han_ca(), with_issuer=False)

    def certificates(self) -> list[Path]:
        """Every PEM certificate of the PKI, authorities first."""
        found = [self.root_cert, self.sub_cert, self.han_trust]
        for folder in (self.gwa, self.smgw, *map(self.emt, self.emt_names)):
            found += [folder.tls.cert, folder.enc.cert, folder.sig.cert]
        found.append(self.smgw_han.cert)
        found += [self.cls(cls_id).cert for cls_id in self.cls_ids]
        return found + [person.cert for person in self.persons()]

    def _found(self, start: datetime | None, han_curve: type[ec.EllipticCurve]) -> None:
        """Writes authorities, GWA and SMGW into the empty directory."""
        root = authority.new_ca(
            "clsbench-Test-Root.CA",
            authority.ROOT_CURVE,
            authority.validity(authority.ROOT_YEARS, start),
            path_length=1,
        )
        span = authority.validity(authority.SUB_YEARS, start)
        sub = authority.new_ca("clsbench-Test-Sub.CA", authority.SUB_CURVE, span, root)
        files.write_pem(self.root_cert, root.certificate)
        files.write_key(self.directory / "root.key.pem", root.key, Encoding.PEM)
        files.write_pem(self.sub_cert, sub.certificate)
        files.write_key(self.directory / "sub.key.pem", sub.key, Encoding.PEM)
        files.write_pem(self.wan_trust, sub.certificate, root.certificate)
        for folder, cn in (("gwa", f"{self.gwa_name}.GWA"), ("smgw", f"{self.smgw_id}.SMGW")):
            files.make_directory(self.directory / folder)
            self._write_triplet(self.directory / folder, cn, _end_span(start), sub)
        self._found_han(span, _end_span(start), han_curve)
        _first_lists(self.wan_crl, [sub, root])

    def _found_han(
        self, ca_span: Validity, end_span: Validity, curve: type[ec.EllipticCurve]
    ) -> None:
        folder = self.directory / "han"
        files.make_directory(folder)
        ca = authority.new_ca("clsbench-Test-HAN.CA", curve, ca_span)
        files.write_pem(self.han_trust, ca.certificate)
        files.write_der(self.han_trust_der, ca.certificate)
        files.write_key(folder / "ca.key.pem", ca.key, Encoding.PEM)
        lower = self.smgw_id.lower()
        smgw = authority.new_end(f"{lower}.smgw", TLS, end_span, ca, dns_name=f"{lower}.sm")
        _write_identity(self.smgw_han, smgw)
        _first_lists(self.han_crl, [ca])

    def _write_triplet(self, folder: Path, cn: str, span: Validity, sub: Issued) -> None:
        for purpose in PURPOSES:
            issued = authority.new_end(cn, purpose, span, sub, dns_name=cn.lower())
            _write_identity(_identity(folder, purpose), issued, sub.certificate)

    def _issue_to(
        self,
        folder: Path,
        cn: str,
        purpose: str,
        span: Validity | None,
        issuer: Issued,
        with_issuer: bool,
    ) -> Identity:
        if not folder.is_dir():
            files.make_directory(folder)
        issued = authority.new_end(cn, purpose, span or _end_span(None), issuer, cn.lower())
        identity = _identity(folder, purpose)
        chain = (issuer.certificate,) if with_issuer else ()
        _write_identity(identity, issued, *chain)
        return identity

    def wan_authorities(self) -> list[Issued]:
        """Sub-CA and root with their keys. Raises BadInput."""
        return [self._sub(), _authority(self.root_cert, self.directory / "root.key.pem")]

    def authorities(self) -> list[Issued]:
        """Sub-CA, root and HAN CA."""
        return [*self.wan_authorities(), self.han_ca()]

    def reissue(
        self, folder: Path, path: Path, old: x509.Certificate, span: Validity
    ) -> x509.Certificate:
        """Makes a new key and certificate with the names and purpose of `old`, by its issuer,
        into files of the same names in `folder`; DER files too where `path` has them beside."""
        sub, han = self._sub(), self.han_ca()
        wan = old.issuer == sub.certificate.subject
        cn = cn_of(old)
        issued = authority.new_end(
            cn, purpose_of(old), span, sub if wan else han, dns_name=_dns_name(old) or cn.lower()
        )
        stem = path.name.removesuffix(".crt.pem")
        chain = (sub.certificate,) if wan else ()
        _write_identity(_identity(folder, stem), issued, *chain)
        if path.with_suffix(".der").is_file():
            files.write_der(folder / f"{stem}.crt.der", issued.certificate)
            files.write_key(folder / f"{stem}.key.der", issued.key, Encoding.DER)
        return issued.certificate

    def _sub(self) -> Issued:
        return sub_ca(self.directory)

    def han_ca(self) -> Issued:
        """The HAN's authority with its key. Raises BadInput."""
        return _authority(self.han_trust, self.directory / "han" / "ca.key.pem")

    def _folders(self, prefix: str) -> list[str]:
        found = (path.name for path in self.directory.iterdir() if path.is_dir())
        return sorted(name.removeprefix(prefix) for name in found if name.startswith(prefix))

    def _folder(self, prefix: str, name: str, option: str) -> Path:
        folder = self.directory / f"{prefix}{name}"
        if not folder.is_dir():
            raise BadInput(
                f"{folder}: this PKI has no certificate for '{name}'. "
                f"Make one with: clsbench pki init --out DIR {option} {name}"
            )
        return folder

    def _new_folder(self, prefix: str, name: str) -> Path:
        folder = self.directory / f"{prefix}{name}"
        if folder.exists():
            raise BadInput(f"{folder}: exists already. Remove it to issue '{name}' anew")
        files.make_directory(folder)
        return folder


def sub_ca(directory: Path) -> Issued:
    """The WAN's sub-CA with its key, in a folder that may hold no more of the PKI. Raises
    BadInput."""
    return _authority(directory / "sub.crt.pem", directory / "sub.key.pem")


def _end_span(start: datetime | None) -> Validity:
    return authority.validity(authority.END_YEARS, start)


def _first_lists(path: Path, issuers: list[Issued]) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    span = Validity(now - authority.BACKDATED, now + timedelta(days=crl.DAYS))
    lists = [crl.new_list(issuer, (), span, 1) for issuer in issuers]
    files.write_atomically(path, crl.pem_of(lists), files.CERTIFICATE_MODE)


def _dns_name(certificate: x509.Certificate) -> str:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ""
    return next(iter(found.value.get_values_for_type(x509.DNSName)), "")


def _identity(folder: Path, stem: str) -> Identity:
    return Identity(folder / f"{stem}.crt.pem", folder / f"{stem}.key.pem")


def _triplet(folder: Path) -> Triplet:
    return Triplet(*(_identity(folder, purpose) for purpose in PURPOSES))


def _write_identity(identity: Identity, issued: Issued, *chain: x509.Certificate) -> None:
    files.write_key(identity.key, issued.key, Encoding.PEM)
    files.write_pem(identity.cert, issued.certificate, *chain)


def _authority(cert: Path, key: Path) -> Issued:
    try:
        return Issued(files.read_certificate(cert), files.read_key(key))
    except (OSError, *UNREADABLE) as error:
        raise BadInput(f"{cert}, {key}: cannot issue certificates from these ({error})") from error


def _name_in(cert: Path, role: str) -> tuple[str, str]:
    if not cert.is_file():
        raise _missing(cert)
    try:
        found = split_cn(cn_of(files.read_certificate(cert)))
    except (PeerRefused, *UNREADABLE) as error:
        raise BadInput(f"{cert}: not a certificate of the PKI ({error})") from error
    if found[1] != role:
        raise BadInput(f"{cert}: certificate has role {found[1]}, expected {role}")
    return found


def _missing(path: Path) -> BadInput:
    return BadInput(f"{path}: no such file. Make a test PKI with: clsbench pki init --out DIR")
