"""`clsbench verify`: seals, chains, signatures and sequences of records in files and stores."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from clsbench.cli.verify_trudi import read_capped, verify_trudi
from clsbench.device.findings import TRUNCATED, Verdict
from clsbench.device.signed import read_public_key
from clsbench.device.verify import (
    DEVICE,
    DEVICE_SUFFIX,
    GATEWAY,
    GATEWAY_SUFFIX,
    MAX_BYTES,
    Item,
    file_items,
    verify_items,
)
from clsbench.device.verify_gateway import VerifyCms
from clsbench.device.verify_store import database_items
from clsbench.emt.seal import read_key
from clsbench.emt.signed import read_list_file
from clsbench.errors import BadInput
from clsbench.smgw.core.cms_signers import Verifier


@click.command()
@click.argument(
    "paths",
    nargs=-1,
    metavar="FILE|DIR...",
    type=click.Path(exists=True, path_type=Path),
)
@click.option(
    "--key",
    "key_files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Key of the device (32 bytes or 64 hex digits); once for each device.",
)
@click.option(
    "--sign-key",
    "sign_keys",
    multiple=True,
    metavar="PEM",
    type=click.Path(path_type=Path),
    help="Public key of a device that signs; every record must be signed by one of these.",
)
@click.option(
    "--pki",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="PKI whose wan-trust.pem the gateways' certificates lead to.",
)
@click.option(
    "--trust",
    type=click.Path(path_type=Path),
    metavar="PEM",
    help="File with sub-CA and root, instead of --pki.",
)
@click.option(
    "--crl",
    type=click.Path(path_type=Path),
    metavar="PEM",
    help="Revocation lists of root and sub-CA; with --pki its wan-crl.pem, where there is one.",
)
@click.option(
    "--db",
    "urls",
    multiple=True,
    metavar="URL",
    help="Data base with records (sqlite:///PATH or a path), such as the aEMT's emt.sqlite.",
)
@click.option(
    "--running",
    is_flag=True,
    help="The last transaction of a series may be open still.",
)
@click.option(
    "--trudi",
    "trudi_files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File for TRuDI (AR 2418-6) instead of records; every rule is told.",
)
@click.option(
    "--tariff",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The supplier's file that belongs to a --trudi file.",
)
@click.option(
    "--schema",
    envvar="CLSBENCH_TRUDI_SCHEMA",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True),
    help="Folder with AR_2418-6.xsd, for --trudi.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def verify(
    paths: tuple[Path, ...],
    trudi_files: tuple[Path, ...],
    tariff: Path | None,
    schema: Path | None,
    urls: tuple[str, ...],
    running: bool,
    key_files: tuple[Path, ...],
    sign_keys: tuple[Path, ...],
    pki: Path | None,
    trust: Path | None,
    crl: Path | None,
    as_json: bool,
) -> int:
    """Checks records in files and stores: sealed device records (*.cbor, one or many in a row,
    with --key) and signed gateway records (*.cms.der, with --pki or --trust). Folders are
    searched with all they hold.

    Each record by itself, then each device's chain and each gateway profile: gaps, forks,
    repeats, changes, links, order, time, transactions without end, quarter hours that come
    twice. Exit code 1 when anything is wrong.
    """
    if trudi_files:
        if paths or urls:
            raise click.UsageError("--trudi and records are checked apart")
        return verify_trudi(trudi_files, tariff, schema, as_json)
    if not paths and not urls:
        raise click.UsageError("name files or folders, or a data base with --db")
    if pki is not None and trust is not None:
        raise click.UsageError("--pki and --trust say the same: give one of them")
    groups = [file_items(str(path), read_capped(path, MAX_BYTES)) for path in _files(paths)]
    groups += [group for url in urls for group in database_items(url)]
    kinds = {_needs(item) for group in groups for item in group}
    if DEVICE in kinds and not key_files:
        raise BadInput("sealed device records (*.cbor) need the device's key: --key FILE")
    if GATEWAY in kinds and pki is None and trust is None:
        raise BadInput(
            "signed gateway records (*.cms.der) need the trusted authorities: --pki DIR, or "
            "--trust PEM"
        )
    keys = [read_key(path) for path in key_files]
    standing = pki / "wan-crl.pem" if pki is not None else None
    lists = crl or (standing if standing is not None and standing.is_file() else None)
    verify_cms = _cms_verifier(trust or pki and pki / "wan-trust.pem", lists)
    signers = [read_public_key(path) for path in sign_keys]
    verdict = verify_items(groups, keys, verify_cms, running, signers)
    if as_json:
        print(json.dumps(verdict.document()))
    else:
        show_verdict(verdict)
    return 0 if verdict.ok else 1


def _needs(item: Item) -> str:
    return DEVICE if item.kind == TRUNCATED else item.kind


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    """Every record file once; a folder without any is an error."""
    seen: set[Path] = set()
    for path in paths:
        found = _below(path) if path.is_dir() else [path]
        if not found:
            raise BadInput(
                f"{path}: holds no record, neither *{DEVICE_SUFFIX} nor *{GATEWAY_SUFFIX}"
            )
        for each in found:
            if (real := each.resolve()) not in seen:
                seen.add(real)
                yield each


def _below(folder: Path) -> list[Path]:
    suffixes = (DEVICE_SUFFIX, GATEWAY_SUFFIX)
    return sorted(p for p in folder.rglob("*") if p.name.endswith(suffixes) and p.is_file())


def _cms_verifier(trust: Path | None, crl: Path | None) -> VerifyCms:
    if trust is not None and not trust.is_file():
        raise BadInput(f"{trust}: no such file. --pki takes what `clsbench pki init` has made")
    pem = read_capped(trust, MAX_BYTES) if trust is not None else b""
    lists = None if crl is None else read_list_file(crl)
    verifier = Verifier(pem, "SMGW", lambda: lists)

    def verify_cms(der: bytes) -> tuple[bytes, str]:
        signed = verifier.verify(der)
        return signed.content, signed.signer.name

    return verify_cms


def show_verdict(verdict: Verdict) -> None:
    for each in verdict.files:
        print(f"{'ok   ' if each.ok else 'FAULT'}  {each.file}\n         {each.detail}")
    print()
    for one in verdict.series:
        whole = ", no gap, no repeat" + (", links hold" if one.kind == DEVICE else "")
        before = f"; what came before {one.first} is not here" if one.first > 1 else ""
        print(
            f"{'ok   ' if one.ok else 'FAULT'}  {one.kind} {one.name}: {one.records} records, "
            f"{one.first} to {one.last}{whole if one.ok else ''}{before}"
        )
    good = sum(each.ok for each in verdict.files)
    print(f"\n{good} of {len(verdict.files)} files hold; findings: {len(verdict.findings)}")
    for finding in verdict.found:
        print(f"  {finding.kind:12} {finding.text}")
