"""`clsbench verify --trudi`: every rule of a TRuDI file, told one by one."""

import json
from pathlib import Path

from clsbench.errors import BadInput
from clsbench.smgw.trudi.check import check
from clsbench.smgw.trudi.document import MAX_BYTES
from clsbench.smgw.trudi.findings import Report


def verify_trudi(
    files: tuple[Path, ...], tariff: Path | None, schema: Path | None, as_json: bool
) -> int:
    """Checks each file; prints the reports; returns the exit code."""
    supplier = None if tariff is None else (str(tariff), read_capped(tariff, MAX_BYTES))
    reports = [
        check((str(path), read_capped(path, MAX_BYTES)), supplier, schema) for path in files
    ]
    if as_json:
        ok = all(report.ok for report in reports)
        print(json.dumps({"ok": ok, "files": [report.document() for report in reports]}))
    else:
        for report in reports:
            _show(report)
    return 0 if all(report.ok for report in reports) else 1


def _show(report: Report) -> None:
    told = "unknown" if report.taf is None else report.taf
    print(f"{report.file}: TAF {told}")
    for rule in report.rules:
        mark = "FAULT" if not rule.ok else "-    " if rule.why_not else "ok   "
        print(f"{mark}  {rule.name}  {rule.says}")
        for finding in rule.findings or ((rule.why_not,) if rule.why_not else ()):
            print(f"         {finding}")
    failed = report.failed()
    print(f"{len(report.rules) - len(failed)} of {len(report.rules)} rules hold or were left out")


def read_capped(path: Path, most: int) -> bytes:
    """A file's first bytes: one more than `most` tell that it is too large. Raises BadInput."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
