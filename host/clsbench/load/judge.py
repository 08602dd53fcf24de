"""What an aEMT has after a load run: numbers without gap, none twice, each signature right.

Reads the store itself, with a CMS reader of its own; asks no process.
"""

import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from clsbench.errors import ClsbenchError
from clsbench.load.population import PROFILE
from clsbench.smgw.core import cms


@dataclass
class Stored:
    """seqs: numbers of the profile's records in the aEMT's store; findings: sentences."""

    seqs: list[int] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def stored_count(work: Path) -> int:
    """How many gateway records the aEMT has."""
    with _open(work) as database:
        return database.execute(
            "SELECT COUNT(*) FROM gateway_records WHERE profile_id = ?", (PROFILE,)
        ).fetchone()[0]


def judge(work: Path, trust: bytes) -> Stored:
    """Reads all of them. trust: PEM of sub-CA and root."""
    stored = Stored()
    with _open(work) as database:
        rows = database.execute(
            "SELECT seq, uuid, cms FROM gateway_records WHERE profile_id = ? ORDER BY seq",
            (PROFILE,),
        ).fetchall()
    keys: set[str] = set()
    for place, (seq, key, sealed) in enumerate(rows, 1):
        stored.seqs.append(seq)
        if seq != place:
            stored.findings.append(f"record {place} of the sequence has number {seq}")
        if key in keys:
            stored.findings.append(f"event {key} has two records")
        keys.add(key)
        try:
            said = json.loads(cms.verify(sealed, trust, "SMGW").content)
        except ClsbenchError as error:
            stored.findings.append(f"record {seq}: {error}")
            continue
        if (said["seq"], said["uuid"]) != (seq, key):
            stored.findings.append(f"record {seq}: the signed content is another's")
    return stored


def _open(work: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{work / 'emt' / 'emt.sqlite'}?mode=ro", uri=True)
