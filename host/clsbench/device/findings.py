"""What `clsbench verify` hands back: findings with a place, verdicts on files, series.

Knows no formats. A finding names the record as well as it can: whose it is, which number it
bears, in which file, and at which byte of it.
"""

from dataclasses import dataclass, field
from typing import Any

# kinds of finding
UNREADABLE = "unreadable"  # no record at all
TRUNCATED = "truncated"  # a record that the file's end cuts off
ALTERED = "altered"  # seal, digest or signature does not fit the content
WRONG_KEY = "wrong-key"  # no key given opens any record labelled so
LABEL = "label"  # key id, which no seal covers, and sealed identity differ
OTHER_DEVICE = "other-device"  # sealed for another device than the series
NAME = "name"  # file name or column says other than the record
SIGNATURE = "signature"  # no signature, or of none of the keys given
GAP = "gap"
FORK = "fork"  # one number, two records
REPEAT = "repeat"  # one record, twice
LINK = "link"  # does not link to the record before it
ORDER = "order"  # stands before one of a lower number
TIME = "time"  # captured before the record before it
REGISTER = "register"  # the meter's register fell
NO_END = "no-end"
NO_BEGIN = "no-begin"
EVENT_TWICE = "event-twice"  # a second begin or a second end of one transaction
SLOT_TWICE = "slot-twice"  # a second reading for one quarter hour
SLOT_ORDER = "slot-order"  # a quarter hour after a later one, or none of the grid
SIGNER = "signer"  # not trusted, not valid then, not this SMGW


@dataclass(frozen=True)
class Place:
    """Where a record was found. offset: of its first byte; None in a data base."""

    file: str
    offset: int | None = 0

    def __str__(self) -> str:
        return f"{self.file} at byte {self.offset}" if self.offset else self.file


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. owner: device or gateway profile, seq: number of the record;
    None where the bytes do not tell."""

    kind: str
    text: str
    place: Place | None = None
    owner: str | None = None
    seq: int | None = None

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "kind": self.kind,
            "device": self.owner,
            "seq": self.seq,
            "file": self.place.file if self.place else None,
            "offset": self.place.offset if self.place else None,
            "text": self.text,
        }


@dataclass(frozen=True)
class FileVerdict:
    """One file: kind is device, gateway or unknown; detail says what it holds or what is wrong."""

    file: str
    kind: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Series:
    """Records that number each other: of a device's key, or of a gateway's profile."""

    kind: str
    name: str
    first: int
    last: int
    records: int
    ok: bool


@dataclass
class Verdict:
    """files in the order given; found: everything that is wrong."""

    files: list[FileVerdict] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    found: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True without any finding."""
        return not self.found

    @property
    def findings(self) -> list[str]:
        """One sentence for each finding."""
        return [finding.text for finding in self.found]

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "ok": self.ok,
            "files": [vars(each) for each in self.files],
            "series": [vars(each) for each in self.series],
            "findings": self.findings,
            "found": [finding.document() for finding in self.found],
        }


class Fault(Exception):
    """A single record is not what it should be."""

    def __init__(self, kind: str, text: str, owner: str | None = None, seq: int | None = None):
        super().__init__(text)
        self.kind = kind
        self.owner = owner
        self.seq = seq
