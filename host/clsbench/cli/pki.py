"""`clsbench pki`: make a test SM-PKI and show what one holds."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from clsbench.errors import BadInput, PeerRefused
from clsbench.pki import files
from clsbench.pki.layout import (
    DEFAULT_CLS,
    DEFAULT_EMT,
    DEFAULT_GWA,
    DEFAULT_SMGW,
    PERSON_ROLES,
    Pki,
)
from clsbench.pki.names import CA, UNREADABLE, cn_of, fingerprint, purpose_of, split_cn

_COLUMNS = ("role", "purpose", "cn", "curve", "valid_until", "state", "fingerprint")


@click.group()
def pki() -> None:
    """The test SM-PKI: certificates of GWA, SMGW, EMT and CLS."""


@pki.command()
@click.option("--out", "directory", required=True, type=click.Path(path_type=Path))
@click.option("--smgw", "smgw_id", default=DEFAULT_SMGW, show_default=True)
@click.option("--gwa", "gwa_name", default=DEFAULT_GWA, show_default=True)
@click.option("--emt", "emt_names", multiple=True, default=[DEFAULT_EMT], show_default=True)
@click.option("--cls", "cls_ids", multiple=True, default=[DEFAULT_CLS], show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace a PKI that is there, with all its keys.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def init(
    directory: Path,
    smgw_id: str,
    gwa_name: str,
    emt_names: tuple[str, ...],
    cls_ids: tuple[str, ...],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make keys and certificates for all roles. For tests only: keys are not encrypted."""
    made = Pki.init(directory, smgw_id, gwa_name, emt_names, cls_ids, overwrite=overwrite)
    _print(made, as_json)


@pki.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def show(directory: Path, as_json: bool) -> int:
    """List the certificates of a PKI. Ends with 1 when one of them is not valid now."""
    return _print(Pki.open(directory), as_json)


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


def _print(found: Pki, as_json: bool) -> int:
    """Prints the PKI; returns 1 when a certificate is not valid now, else 0."""
    rows = [_describe(path, found.directory) for path in found.certificates()]
    if as_json:
        click.echo(json.dumps({"directory": str(found.directory), "certificates": rows}))
    else:
        _print_table(rows)
    return int(any(row["state"] != "valid" for row in rows))


def _print_table(rows: list[dict[str, str]]) -> None:
    lines = [tuple(name.replace("_", " ") for name in _COLUMNS)]
    lines += [tuple(row[name] for name in _COLUMNS) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def _describe(path: Path, directory: Path) -> dict[str, str]:
    try:
        certificate = files.read_certificate(path)
        purpose = purpose_of(certificate)
        cn = cn_of(certificate)
        role = "CA" if purpose == CA else _role(cn)
    except (OSError, PeerRefused, *UNREADABLE) as error:
        raise BadInput(f"{path}: not a certificate of the PKI ({error})") from error
    key = certificate.public_key()
    return {
        "file": str(path.relative_to(directory)),
        "role": role,
        "purpose": purpose,
        "cn": cn,
        "curve": key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else "none",
        "valid_from": f"{certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        "valid_until": f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "state": _state(certificate),
        "fingerprint": fingerprint(certificate),
    }


def _role(cn: str) -> str:
    """The role a name states; persons have none that a peer could claim by it."""
    suffix = cn.rpartition(".")[2]
    return suffix.upper() if suffix in PERSON_ROLES else split_cn(cn)[1]


def _state(certificate: x509.Certificate) -> str:
    now = datetime.now(UTC)
    if now < certificate.not_valid_before_utc:
        return "not yet valid"
    return "expired" if now > certificate.not_valid_after_utc else "valid"
