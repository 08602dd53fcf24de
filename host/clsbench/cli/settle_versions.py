"""Results kept as versions in a folder, NNNN.json; a result like the last one makes no new one."""

import json
import re
from pathlib import Path
from typing import Any

from clsbench.cli.settle_sources import read_json, read_text, write_text
from clsbench.errors import BadInput

_NAME = re.compile(r"(\d{4,})\.json")


def keep_version(folder: Path, result: dict[str, Any]) -> str:
    """Writes the result where it differs from the last version; says which version it is."""
    folder.mkdir(parents=True, exist_ok=True)
    known = versions(folder)
    if known and read_json(read_text(known[-1]), known[-1]) == result:
        return f"{known[-1]}: unchanged"
    number = int(known[-1].stem) + 1 if known else 1
    path = folder / f"{number:04}.json"
    write_text(path, json.dumps(result, ensure_ascii=False) + "\n")
    return f"{path}: version {number}"


def versions(folder: Path) -> list[Path]:
    """The versions in a folder, oldest first."""
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.stem))


def two_results(paths: tuple[Path, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Old and new result: of two files, or the last two versions of a folder."""
    if len(paths) == 1 and paths[0].is_dir():
        known = versions(paths[0])[-2:]
        if len(known) < 2:
            raise BadInput(f"{paths[0]}: holds fewer than two versions, nothing to compare")
    elif len(paths) == 2:
        known = list(paths)
    else:
        raise BadInput("settle diff: name two result files, or one folder made with --keep")
    old, new = (read_json(read_text(path), path) for path in known)
    for path, result in zip(known, (old, new), strict=True):
        if "slots" not in result or "unit_scaler" not in result:
            raise BadInput(f"{path}: is no result; make one with clsbench settle --json")
    return old, new
