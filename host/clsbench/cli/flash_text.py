"""What flashing a board tells, in lines for people. Pure: documents in, text out."""

from collections.abc import Mapping
from typing import Any

KIB = 1024
_MARKS = {True: "✓", False: "✗", None: "-"}


def lines(document: Mapping[str, Any]) -> list[str]:
    """The summary of `clsbench flash`."""
    rows = [("firmware", _firmware(document))]
    if document.get("dry_run"):
        rows.append(("would copy", _listed(document["to_copy"])))
        rows.append(("would remove", _listed(document["to_remove"])))
        if document["to_make"]:
            rows.append(("would make", ", ".join(document["to_make"])))
    else:
        rows.append(("copied", _copied(document["copied"])))
    if document["laid_out"]:
        rows += [("storage", line) for line in _storage(document)]
    rows.append(("device", _device(document["device"])))
    rows += [("", note) for note in document["notes"]]
    head = (
        f"{document['title']} on {document['port']}: board {document['board']}, "
        f"MicroPython {document['micropython']}"
    )
    return [head, *(f"  {name:13} {text}" for name, text in rows), *_checks(document)]


def _firmware(document: Mapping[str, Any]) -> str:
    size = f"{document['bytecode'] / KIB:.1f} KiB of bytecode"
    if document["limit"]:
        size += f" (limit {document['limit'] // KIB})"
    parts = ", ".join(document["slices"])
    return f"{size}, {f'with {parts}' if parts else 'the application alone; more: --with PART'}"


def _listed(paths: list[str]) -> str:
    if not paths:
        return "nothing"
    return f"{len(paths)} files: {', '.join(paths[:4])}{' …' if len(paths) > 4 else ''}"


def _copied(report: Mapping[str, Any]) -> str:
    return (
        f"{report['files']} files, {report['bytes'] / KIB:.1f} KiB in {report['seconds']:.1f} s; "
        f"{report['unchanged']} were there, {report['removed']} removed"
    )


def _storage(document: Mapping[str, Any]) -> list[str]:
    tried = bool(document.get("dry_run"))
    room = (
        f"{document['records']['kib']} KiB for records, {document['records']['fs_kib']} for files"
    )
    found = [f"{'would be ' if tried else ''}laid out anew: {room}"]
    if document["foreign"]:
        names = ", ".join(document["foreign"])
        found.append(f"would lose: {names}; needs --format" if tried else f"lost: {names}")
    return found


def _device(device: Mapping[str, Any] | None) -> str:
    if device is None:
        return "keeps the settings it has"
    gateway = f", gateway {device['gateway']}" if device["gateway"] else ""
    return (
        f"{device['device_id']}, CLS {device['cls_id']}, meter {device['meter_id']} "
        f"({device['model']}){gateway}; its key: {device['key_file']}"
    )


def _checks(document: Mapping[str, Any]) -> list[str]:
    if "checks" not in document:
        return []
    found = [f"  {_MARKS[c['ok']]} {c['name']:11} {c['detail']}" for c in document["checks"]]
    if document["ok"]:
        return ["Self-test", *found, "Passed."]
    wiring = f"boards/{document['board']}/wiring.md"
    look = f"Look: clsbench log --port {document['port']}; wiring: {wiring}"
    return ["Self-test", *found, f"Failed. {look}"]


def image_lines(told: Mapping[str, Any]) -> list[str]:
    """What putting an image on tells."""
    return [told["done"], *(f"  {line}" for line in told["next"])]
