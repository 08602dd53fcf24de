"""Writes sealed device records into a folder, for `clsbench verify` and for other people's tools.

Knows files only. NNNNNN-tafT.cbor holds the record as the device sealed it, NNNNNN-tafT.json
what it says, where the seal was checked.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from clsbench.device.records import DeviceRecord, SealBroken, read_unchecked
from clsbench.errors import BadInput, EnvironmentProblem


def write_records(
    out: Path,
    fetched: Iterable[tuple[int, bytes]],
    found: Mapping[int, DeviceRecord],
    checked: bool,
) -> None:
    """Writes what is not there yet; safe on the disk when it returns.

    fetched: (number, sealed bytes); found: those of them that are in order; checked: their
    seals were, so that they are written as JSON, too. Raises BadInput when the folder holds
    another record under a number, EnvironmentProblem when it cannot be written.
    """
    records = list(fetched)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for seq, sealed in records:
            _refuse_other(out, seq, sealed)
        for seq, sealed in records:
            path = out / f"{seq:06d}-{_kind(sealed)}.cbor"
            if not path.exists():
                _write(path, sealed)
            if checked and seq in found:
                text = json.dumps(found[seq].document(), indent=2) + "\n"
                _write(path.with_suffix(".json"), text.encode())
        _sync(out)
    except OSError as error:
        raise EnvironmentProblem(f"--out {out}: cannot be written: {error.strerror}") from error


def _kind(sealed: bytes) -> str:
    try:
        return f"taf{read_unchecked(sealed).taf}"
    except SealBroken:
        return "unreadable"


def _refuse_other(out: Path, seq: int, sealed: bytes) -> None:
    for path in out.glob(f"{seq:06d}-*.cbor"):
        if path.read_bytes() != sealed:
            raise BadInput(
                f"{path}: holds another record with this number, of another device or altered. "
                "Name another --out, or check it: clsbench verify FILE --key FILE"
            )


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _sync(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows keeps names of files by itself
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
