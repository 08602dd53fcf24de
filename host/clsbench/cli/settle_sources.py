"""What `clsbench settle` works on, whatever it lies in: document, CSV, XML, or record stores."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.settlement.csv_series import read_csv
from clsbench.settlement.records import whole_window

MAX_BYTES = 512 * 1024 * 1024
NO_GROUPS = {"rest": "REST", "delta": "DELTA", "by_uuid": {}}


@dataclass(frozen=True)
class Choices:
    """What the command line says beside the data."""

    from_text: str | None = None
    to_text: str | None = None
    groups: Path | None = None
    policies: tuple[str, ...] = ()


def read_file(path: Path) -> dict[str, Any]:
    """A settlement document from JSON, CSV, Parquet or AR 2418-6 XML. Raises BadInput."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        from clsbench.cli.settle_parquet import read_parquet

        return {"schema": 1, "input": {"mode": "sections", **read_parquet(path)}}
    text = read_text(path)
    if suffix == ".csv":
        return {"schema": 1, "input": {"mode": "sections", **read_csv(text, str(path))}}
    if suffix == ".xml":
        from clsbench.settlement.ar2418 import read_xml

        return {"schema": 1, "input": {"mode": "sections", **read_xml(text, str(path))}}
    return read_json(text, path)


def read_text(path: Path) -> str:
    """The whole file as UTF-8."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path}: larger than {MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is no UTF-8 text: {error.reason}") from error


def write_text(path: Path, text: str) -> None:
    """Writes a file of the user's choice. Raises EnvironmentProblem."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblem(f"{path}: cannot be written: {error.strerror}") from error


def read_json(text: str, path: Path) -> dict[str, Any]:
    """One JSON object."""
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise BadInput(f"{path}: nested too deeply") from error
    except ValueError as error:
        raise BadInput(f"{path}: is no JSON document: {error}") from error
    if not isinstance(document, dict):
        raise BadInput(f"{path}: must hold one JSON object")
    return document


def apply_choices(document: dict[str, Any], choices: Choices) -> dict[str, Any]:
    """The document with window, groups and policies from the command line put in."""
    outer = document if "input" in document else {"schema": 1, "input": document}
    body = dict(outer["input"]) if isinstance(outer["input"], dict) else {}
    if choices.groups is not None:
        body["groups"] = _table_file(choices.groups)
    if choices.policies:
        body["policy"] = {**(body.get("policy") or {}), **_policies(choices.policies)}
    if body.get("mode") == "sections":
        body.setdefault("groups", NO_GROUPS)
        _set_window(body, choices)
    return {**outer, "input": body}


def _set_window(body: dict[str, Any], choices: Choices) -> None:
    window = dict(body.get("window") or {})
    if choices.from_text:
        window["from"] = choices.from_text
    if choices.to_text:
        window["to"] = choices.to_text
    if "from" not in window or "to" not in window:
        window = {**whole_window(body), **window}
    body["window"] = window


def _policies(words: tuple[str, ...]) -> dict[str, Any]:
    policies: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise BadInput(
                f"--policy {word}: write it as name=value, for example substitute=linear"
            )
        if name not in ("substitute", "substitute_max_ms", "market_decimals", "over_claim"):
            raise BadInput(
                f"--policy {name}: unknown. There are substitute, substitute_max_ms, "
                "market_decimals and over_claim"
            )
        policies[name] = int(value) if value.isascii() and value.isdigit() else value
    return policies


def _table_file(path: Path) -> dict[str, Any]:
    text = read_text(path)
    if path.suffix.lower() == ".toml":
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise BadInput(f"{path}: is no TOML: {error}") from error
    return read_json(text, path)
