"""`clsbench smgw export`: the files that TRuDI reads, from a gateway's original list."""

import importlib.metadata
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clsbench.errors import BadInput

if TYPE_CHECKING:
    from clsbench.smgw.config import SmgwConfig
    from clsbench.smgw.trudi.contract import Party

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--config", required=True, type=_FILE, help="TOML file of the gateway.")
@click.option("--profile", required=True, help="Evaluation profile of TAF 1, 2, 6 or 7.")
@click.option("--month", required=True, metavar="YYYY-MM", help="A month of local time.")
@click.option("--out", required=True, type=_FILE, help="File for TRuDI.")
@click.option("--tariff-file", type=_FILE, help="The supplier's file for a TAF2 profile, too.")
def export(config: Path, profile: str, month: str, out: Path, tariff_file: Path | None) -> None:
    """Write the TRuDI file (AR 2418-6) of an evaluation profile; the gateway may be running."""
    from clsbench.smgw.archive import Archive
    from clsbench.smgw.config import load_config
    from clsbench.smgw.core.legal_time import QUARTER_MS
    from clsbench.smgw.core.logs import consumer_log
    from clsbench.smgw.trudi.contract import contract, span_of
    from clsbench.smgw.trudi.export import adapter_file
    from clsbench.smgw.trudi.tariff_file import tariff_file as supplier_file

    loaded = load_config(config)
    taf = loaded.profiles().taf(profile)
    if taf is None:
        known = ", ".join(section.id for section in loaded.taf) or "none"
        raise BadInput(f"--profile {profile}: not in {config}; there are: {known}")
    span = span_of(taf, month_span(month))
    with closing(Archive.reading(loaded.smgw.state())) as archive:
        rows = archive.originals(taf.meter_id, None, span[0], span[1] + 1, QUARTER_MS)
        logs = archive.log_entries(consumer_log(taf.final_consumer), span[0], span[1] + 1)
    content = contract(_party(loaded, taf.final_consumer), taf, span, rows, logs)
    _write(out, adapter_file(content))
    if tariff_file is not None:
        _write(tariff_file, supplier_file(content))


def month_span(month: str) -> tuple[int, int]:
    """Begin and end of a month of local time, ms. Raises BadInput."""
    from clsbench.smgw.core.legal_time import month_ms

    try:
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadInput(f"--month {month}: expected YYYY-MM, like 2026-10") from error
    return month_ms(first.year, first.month)


def now_ms() -> int:
    """The wall clock, UTC."""
    return time.time_ns() // 1_000_000


def _party(loaded: "SmgwConfig", final_consumer: str) -> "Party":
    from clsbench.smgw.trudi.contract import Party

    consumer = loaded.profiles().consumer(final_consumer)
    known_as = consumer.customer_id if consumer and consumer.customer_id else final_consumer
    return Party(
        smgw_id=loaded.smgw.id,
        customer_id=known_as,
        certificates=_certificates(loaded.pki.dir),
        firmware=f"clsbench {importlib.metadata.version('clsbench')}",
    )


def _certificates(pki: Path) -> tuple[tuple[int, bytes], ...]:
    """Signature certificate with its sub-CA, and the HAN certificate, as TRuDI numbers them."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from clsbench.smgw.trudi.names import CERT_HAN, CERT_SIG, CERT_SUB

    found: list[tuple[int, bytes]] = []
    kinds = {"smgw/sig.crt.pem": (CERT_SIG, CERT_SUB), "han/smgw.crt.pem": (CERT_HAN,)}
    for name, own in kinds.items():
        try:
            chain = x509.load_pem_x509_certificates((pki / name).read_bytes())
        except (OSError, ValueError) as error:
            raise BadInput(
                f"{pki / name}: {error}. Make a test PKI: clsbench pki init --out {pki}"
            ) from error
        found += [
            (kind, one.public_bytes(Encoding.DER)) for kind, one in zip(own, chain, strict=False)
        ]
    return tuple(found)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from error
    click.echo(f"{path}: {len(data)} bytes", err=True)
