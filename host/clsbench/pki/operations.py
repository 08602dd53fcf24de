"""What is done to a PKI that is there: revoke, issue lists anew, renew while roles run.

Files appear in one step each, keys for their owner alone; those of a renewal together
(`pki.staging`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.errors import BadInput
from clsbench.pki import authority, crl, files
from clsbench.pki.authority import Issued, Validity
from clsbench.pki.chain import load_trust
from clsbench.pki.crl import Revoked
from clsbench.pki.layout import Pki
from clsbench.pki.names import UNREADABLE, cn_of
from clsbench.pki.staging import finish_renewal, renewal

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Renewed:
    """A certificate that was replaced: where, and its serial number before and now."""

    path: Path
    cn: str
    before: int
    now: int


def issue_lists(pki: Pki, days: float = crl.DAYS) -> list[Path]:
    """Issues the lists of root, sub-CA and HAN CA anew, with what stands on them.

    days: how long they hold. Raises BadInput when an authority's key is missing.
    """
    _write_lists(pki, {}, days)
    return [pki.wan_crl, pki.han_crl]


def revoke(pki: Pki, name: str, reason: str = "unspecified") -> list[x509.Certificate]:
    """Revokes what `name` stands for: a folder of the PKI (`emt-x`), or a certificate file.

    Returns the certificates; one that was revoked before stays as it was. Raises BadInput for a
    certificate that no authority of this PKI issued.
    """
    found = certificates_in(pki, name)
    revoke_certificates(pki, found, reason)
    return found


def certificates_in(pki: Pki, name: str) -> list[x509.Certificate]:
    """What `name` stands for, as in `revoke`."""
    return [_read(path) for path in _paths(pki, name)]


def revoke_certificates(pki: Pki, found: list[x509.Certificate], reason: str) -> None:
    """Puts certificates of this PKI on the lists of their issuers."""
    if reason not in crl.REASONS:
        raise BadInput(f"reason '{reason}': known are {', '.join(crl.REASONS)}")
    now = datetime.now(UTC).replace(microsecond=0)
    more: dict[x509.Name, list[Revoked]] = {}
    issuers = {each.certificate.subject for each in pki.authorities()}
    for certificate in found:
        if certificate.issuer not in issuers:
            raise BadInput(f"{cn_of(certificate)}: not issued by this PKI")
        more.setdefault(certificate.issuer, []).append(
            Revoked(certificate.serial_number, now, reason)
        )
    _write_lists(pki, more, crl.DAYS)


def renew(pki: Pki, name: str, days: int | None = None) -> list[Renewed]:
    """New keys and certificates in the folder `name` (`gwa`, `smgw`, `emt-x`, `han`, `cls-x`),
    for the same names and purposes; from now, for two years or `days`.

    The old ones stay valid; see `revoke_certificates`. A control box and a person are known by
    their fingerprint: their profile is to be changed, too.
    """
    folder = pki.directory / name
    paths = _paths(pki, name)
    finish_renewal(folder)
    old = {path: _read(path) for path in paths}
    span = _span(days)
    with renewal(folder) as staged:
        made = {path: pki.reissue(staged, path, old[path], span) for path in paths}
    return [
        Renewed(path, cn_of(old[path]), old[path].serial_number, made[path].serial_number)
        for path in paths
    ]


def older_form(pki: Pki) -> str:
    """Which of the WAN's authorities lies on a smaller curve than is asked since 2025, and what
    to do; "" for none. A PKI made by an older version goes on working, and issues as it did."""
    small = []
    for each in load_trust(pki.wan_trust.read_bytes()):
        is_root = each.issuer == each.subject
        asked = authority.ROOT_CURVE() if is_root else authority.SUB_CURVE()
        key = each.public_key()
        if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < asked.key_size:
            small.append(f"{cn_of(each)} lies on {key.curve.name}, TR-03116-3 asks {asked.name}")
    if not small:
        return ""
    remedy = "A new PKI has it, with new keys for all: clsbench pki init --out DIR --overwrite"
    return f"{'; '.join(sorted(small))}. {remedy}"


def revoked_serials(pki: Pki) -> dict[tuple[x509.Name, int], Revoked]:
    """What stands on the lists that are there, by issuer and serial number."""
    return {
        (each.issuer, entry.serial): entry
        for path in (pki.wan_crl, pki.han_crl)
        if path.is_file()
        for each in crl.read_lists(path.read_bytes())
        for entry in crl.entries(each)
    }


def _write_lists(pki: Pki, more: dict[x509.Name, list[Revoked]], days: float) -> None:
    for path, issuers in ((pki.wan_crl, pki.wan_authorities()), (pki.han_crl, [pki.han_ca()])):
        standing = crl.read_lists(path.read_bytes()) if path.is_file() else []
        lists = [_next(issuer, standing, more, days) for issuer in issuers]
        files.write_atomically(path, crl.pem_of(lists), files.CERTIFICATE_MODE)


def _next(
    issuer: Issued,
    standing: list[x509.CertificateRevocationList],
    more: dict[x509.Name, list[Revoked]],
    days: float,
) -> x509.CertificateRevocationList:
    """The issuer's next list: what stood on the last one, and more."""
    subject = issuer.certificate.subject
    mine = [each for each in standing if each.issuer == subject]
    before = max(mine, key=crl.number_of, default=None)
    entries = {} if before is None else {each.serial: each for each in crl.entries(before)}
    for each in more.get(subject, []):
        entries.setdefault(each.serial, each)
    now = datetime.now(UTC).replace(microsecond=0)
    span = Validity(now - _HOUR, now + timedelta(days=days))
    number = 1 if before is None else crl.number_of(before) + 1
    return crl.new_list(issuer, entries.values(), span, number)


def _paths(pki: Pki, name: str) -> list[Path]:
    """The certificate files that a name stands for."""
    if Path(name).is_file():
        return [Path(name)]
    folder = pki.directory / name
    found = [path for path in pki.certificates() if path.parent == folder]
    found = [path for path in found if path != pki.han_trust]
    if not found or folder == pki.directory:
        raise BadInput(
            f"'{name}': neither a certificate file nor a folder of {pki.directory} "
            "(gwa, smgw, han, emt-NAME, cls-ID, con-NAME, srv-NAME)"
        )
    return found


def _read(path: Path) -> x509.Certificate:
    try:
        return files.read_certificate(path)
    except (OSError, *UNREADABLE) as error:
        raise BadInput(f"{path}: not a certificate ({error})") from error


def _span(days: int | None) -> Validity:
    if days is None:
        return authority.validity(authority.END_YEARS)
    if days < 1:
        raise BadInput(f"days {days}: at least 1")
    now = datetime.now(UTC).replace(microsecond=0)
    return Validity(now - authority.BACKDATED, now + timedelta(days=days))
