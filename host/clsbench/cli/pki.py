"""`clsbench pki`: make a test SM-PKI, show what one holds, renew and revoke."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.errors import BadInput, PeerRefused
from clsbench.pki import crl, files, operations, watch
from clsbench.pki.crl import Revoked
from clsbench.pki.layout import (
    DEFAULT_CLS,
    DEFAULT_EMT,
    DEFAULT_GWA,
    DEFAULT_SMGW,
    HAN_CURVES,
    PERSON_ROLES,
    Pki,
)
from clsbench.pki.names import CA, UNREADABLE, cn_of, fingerprint, purpose_of, split_cn

_COLUMNS = ("role", "purpose", "cn", "curve", "signed", "valid_until", "state", "fingerprint")


@click.group()
def pki() -> None:
    """The test SM-PKI: certificates of GWA, SMGW, EMT and CLS."""


@pki.command()
@click.option("--out", "directory", required=True, type=click.Path(path_type=Path))
@click.option("--smgw", "smgw_id", default=DEFAULT_SMGW, show_default=True)
@click.option("--gwa", "gwa_name", default=DEFAULT_GWA, show_default=True)
@click.option("--emt", "emt_names", multiple=True, default=[DEFAULT_EMT], show_default=True)
@click.option("--cls", "cls_ids", multiple=True, default=[DEFAULT_CLS], show_default=True)
@click.option(
    "--han-profile",
    type=click.Choice(sorted(HAN_CURVES)),
    default="secp256r1",
    show_default=True,
    help="Keys of the HAN: secp256r1 for boards with stock MicroPython.",
)
@click.option("--overwrite", is_flag=True, help="Replace a PKI that is there, with all its keys.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def init(
    directory: Path,
    smgw_id: str,
    gwa_name: str,
    emt_names: tuple[str, ...],
    cls_ids: tuple[str, ...],
    han_profile: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make keys and certificates for all roles. For tests only: keys are not encrypted."""
    made = Pki.init(
        *(directory, smgw_id, gwa_name, emt_names, cls_ids),
        overwrite=overwrite,
        han_profile=han_profile,
    )
    _print(made, as_json)


@pki.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--warn-days", default=30, show_default=True, help="Tell what ends within.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def show(directory: Path, warn_days: int, as_json: bool) -> int:
    """List certificates and revocation lists. Ends with 1 when one is not valid, or soon not."""
    return _print(Pki.open(directory), as_json, warn_days)


@pki.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--reason", type=click.Choice(sorted(crl.REASONS)), default="unspecified", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def revoke(directory: Path, names: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Revoke certificates: NAMES are folders of the PKI (gwa, emt-NAME, cls-ID ...) or
    certificate files. Roles take the new lists up by themselves."""
    there = Pki.open(directory)
    found = [each for name in names for each in operations.revoke(there, name, reason)]
    rows = [{"cn": cn_of(each), "serial": f"{each.serial_number:x}"} for each in found]
    if as_json:
        click.echo(json.dumps({"revoked": rows, "lists": _lists(there, 0)}))
        return
    for row in rows:
        click.echo(f"revoked {row['cn']} {row['serial']}")


@pki.command("crl")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--days", default=crl.DAYS, show_default=True, type=click.FloatRange(min=0))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def issue_lists(directory: Path, days: float, as_json: bool) -> None:
    """Issue the revocation lists of root, sub-CA and HAN CA anew."""
    there = Pki.open(directory)
    operations.issue_lists(there, days)
    rows = _lists(there, 0)
    if as_json:
        click.echo(json.dumps({"lists": rows}))
        return
    for row in rows:
        click.echo(f"{row['file']} {row['issuer']} number {row['number']} until {row['until']}")


@pki.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1, required=True)
@click.option("--days", type=click.IntRange(min=1), help="Life time; two years unless given.")
@click.option("--revoke", "revoke_old", is_flag=True, help="Revoke the certificates of before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def renew(
    directory: Path, names: tuple[str, ...], days: int | None, revoke_old: bool, as_json: bool
) -> None:
    """New keys and certificates for NAMES, folders of the PKI: gwa, smgw, han, emt-NAME, cls-ID
    ... A role that runs takes them for its next connection."""
    there = Pki.open(directory)
    rows = []
    for name in names:
        old = operations.certificates_in(there, name) if revoke_old else []
        rows += operations.renew(there, name, days)
        if old:
            operations.revoke_certificates(there, old, "superseded")
    if as_json:
        told = [
            {
                "file": str(row.path),
                "cn": row.cn,
                "before": f"{row.before:x}",
                "now": f"{row.now:x}",
            }
            for row in rows
        ]
        click.echo(json.dumps({"renewed": told}))
        return
    for row in rows:
        click.echo(f"{row.path} {row.cn} {row.before:x} -> {row.now:x}")


@pki.command()
@click.option("--out", "directory", required=True, type=click.Path(path_type=Path))
@click.option("--id", "device_ids", multiple=True, required=True, help="Of gateway or meter.")
def lmn(directory: Path, device_ids: tuple[str, ...]) -> None:
    """Make self-signed certificates for the wired LMN: one of the gateway, one of each meter."""
    from clsbench.pki.lmn import new_identity

    for device_id in device_ids:
        made = new_identity(directory, device_id)
        click.echo(f"{made.cert}\n{made.key}")


@pki.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--con", "consumers", multiple=True, metavar="NAME", help="A final consumer.")
@click.option("--srv", "technicians", multiple=True, metavar="NAME", help="A technician.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def person(
    directory: Path, consumers: tuple[str, ...], technicians: tuple[str, ...], as_json: bool
) -> None:
    """Make HAN certificates for people in a PKI that is there. Prints what to put into smgw.toml:
    the gateway knows a person by the certificate's fingerprint."""
    if not consumers and not technicians:
        raise click.UsageError("name a person with --con or --srv")
    there = Pki.open(directory)
    wanted = [("con", name) for name in consumers] + [("srv", name) for name in technicians]
    made = []
    for role, name in dict.fromkeys(wanted):
        identity = there.issue_person(role, name)
        known_by = fingerprint(files.read_certificate(identity.cert))
        paths = {"certificate": str(identity.cert), "key": str(identity.key)}
        made.append({"role": role, "name": name, "fingerprint": known_by} | paths)
    if as_json:
        click.echo(json.dumps({"persons": made}))
        return
    for each in made:
        section = {"con": "consumer", "srv": "service"}[each["role"]]
        click.echo(f"# {each['certificate']}, {each['key']}\n[[{section}]]")
        click.echo(f'name = "{each["name"]}"\nfingerprint = "{each["fingerprint"]}"\n')


def _print(found: Pki, as_json: bool, warn_days: int = 0) -> int:
    """Prints the PKI; returns 1 when something is not valid, or not for long, else 0."""
    now, revoked = datetime.now(UTC), operations.revoked_serials(found)
    rows = [
        _describe(path, found.directory, now, warn_days, revoked) for path in found.certificates()
    ]
    lists, older = _lists(found, warn_days), operations.older_form(found)
    if as_json:
        document = {"directory": str(found.directory), "certificates": rows, "lists": lists}
        click.echo(json.dumps(document | {"older_form": older}))
    else:
        _print_table(rows)
        for row in lists:
            told = f"{row['issuer']} number {row['number']}, {row['revoked']} revoked"
            click.echo(f"{row['file']}: {told}, until {row['until']}, {row['state']}")
        if older:
            click.echo(f"older form: {older}")
    return int(any(row["state"] != "valid" for row in (*rows, *lists)))


def _lists(found: Pki, warn_days: int) -> list[dict[str, str | int]]:
    now, days = datetime.now(UTC), min(warn_days, watch.LIST_WARN_DAYS)
    rows: list[dict[str, str | int]] = []
    for path in (found.wan_crl, found.han_crl):
        for each in crl.read_lists(path.read_bytes()) if path.is_file() else []:
            until = each.next_update_utc or now
            rows.append(
                {
                    "file": str(path.relative_to(found.directory)),
                    "issuer": each.issuer.rfc4514_string(),
                    "number": crl.number_of(each),
                    "revoked": len(crl.entries(each)),
                    "until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
                    "state": watch.state_of(each.last_update_utc, until, now, days),
                }
            )
    return rows


def _print_table(rows: list[dict[str, str]]) -> None:
    lines = [tuple(name.replace("_", " ") for name in _COLUMNS)]
    lines += [tuple(row[name] for name in _COLUMNS) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def _describe(
    path: Path,
    directory: Path,
    now: datetime,
    warn_days: int,
    revoked: Mapping[tuple[x509.Name, int], Revoked],
) -> dict[str, str]:
    try:
        certificate = files.read_certificate(path)
        purpose = purpose_of(certificate)
        cn = cn_of(certificate)
        role = "CA" if purpose == CA else _role(cn)
    except (OSError, PeerRefused, *UNREADABLE) as error:
        raise BadInput(f"{path}: not a certificate of the PKI ({error})") from error
    key = certificate.public_key()
    hashed = certificate.signature_hash_algorithm
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    state = watch.state_of(start, end, now, warn_days)
    if (certificate.issuer, certificate.serial_number) in revoked:
        state = "revoked"
    return {
        "file": str(path.relative_to(directory)),
        "role": role,
        "purpose": purpose,
        "cn": cn,
        "curve": key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else "none",
        "signed": "none" if hashed is None else hashed.name.upper(),
        "valid_from": f"{certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        "valid_until": f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "state": state,
        "fingerprint": fingerprint(certificate),
    }


def _role(cn: str) -> str:
    """The role a name states; persons have none that a peer could claim by it."""
    suffix = cn.rpartition(".")[2]
    return suffix.upper() if suffix in PERSON_ROLES else split_cn(cn)[1]
