"""Rules of the tree that no linter knows: import directions, the device's subset, module sizes.

    python tools/check_tree.py        prints each breach as file:line: text; exit 1 with any

Device: proto <- metering <- control <- store <- link <- app; `drivers` are reached from `app` and
the boards alone; only `drivers` (and boards) import machine, esp32, rp2. Host: `smgw/core` is
pure; `cli` and `report` are leaves; GPL oracles and programs are never imported. Imports
everywhere name their module in full.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("proto", "metering", "control", "store", "link", "app")
HARDWARE = {"machine", "esp32", "rp2", "network", "bluetooth"}
NOT_ON_DEVICE = {
    "typing",
    "enum",
    "dataclasses",
    "abc",
    "pathlib",
    "decimal",
    "logging",
    "collections.abc",
    "__future__",
}
IMPURE = {"asyncio", "socket", "ssl", "sqlite3", "time", "threading", "serial", "aiohttp", "os"}
ORACLES = {"smllib", "sml", "meterbus"}
PROGRAMS = {"esptool"}
LEAVES = {"clsbench.cli", "clsbench.report"}
MAX_LINES = 400


def main() -> int:
    """Checks the tree; returns the exit code."""
    breaches = [text for check in CHECKS for text in check()]
    for text in breaches:
        print(text)
    print(f"check_tree: {len(breaches)} breaches in {len(list(_sources()))} files")
    return 1 if breaches else 0


def device_layers() -> Iterator[str]:
    """A device module imports only its own layer and those before it."""
    for path in sorted((ROOT / "firmware" / "dicamm").rglob("*.py")):
        parts = path.relative_to(ROOT / "firmware").parts
        layer = parts[1] if len(parts) > 2 else None
        for line, name in imports(path):
            target = name.split(".")[1] if name.startswith("dicamm.") else None
            if target in LAYERS and layer in LAYERS and _above(target, layer):
                yield _at(path, line, f"{layer} must not import {name}")
            if target == "drivers" and layer not in ("drivers", "app"):
                where = layer or path.name
                yield _at(path, line, f"{where} must not import {name}: ports come as arguments")
            if target == "codes" and layer == "proto":
                yield _at(path, line, "proto must not import dicamm.codes")
            if name == "dicamm.code_texts" and path.name != "code_texts.py":
                yield _at(path, line, "texts stay on the host")
            if name.split(".")[0] in HARDWARE and layer != "drivers":
                yield _at(path, line, f"only drivers import {name}")
            if name in NOT_ON_DEVICE:
                yield _at(path, line, f"{name} is not in the device's subset")


def _above(one: str, other: str) -> bool:
    return LAYERS.index(one) > LAYERS.index(other)


def host_layers() -> Iterator[str]:
    """Pure parts stay pure, leaves stay leaves, oracles stay in the tests."""
    for path in sorted((ROOT / "host").rglob("*.py")):
        inside = path.relative_to(ROOT / "host").as_posix()
        pure = inside.startswith(("clsbench/smgw/core/", "clsbench/settlement/"))
        leaf = inside.startswith(("clsbench/cli/", "clsbench/report/"))
        for line, name in imports(path):
            if pure and name.split(".")[0] in IMPURE:
                yield _at(path, line, f"a pure module must not import {name}")
            if any(name == top or name.startswith(top + ".") for top in LEAVES) and not (
                leaf or inside == "clsbench/__main__.py"
            ):
                yield _at(path, line, f"{name} is a leaf")
            if name.split(".")[0] in ORACLES:
                yield _at(path, line, f"{name} is a test oracle")
            if name.split(".")[0] in PROGRAMS:
                yield _at(path, line, f"{name} runs as a process of its own, it is not imported")


def full_names() -> Iterator[str]:
    """Imports name their module in full, so that the rules above see where they lead."""
    for path in _sources():
        for line, name in imports(path):
            if name.startswith("."):
                yield _at(path, line, "imports name their module in full")


def module_sizes() -> Iterator[str]:
    """No module over MAX_LINES lines."""
    for path in _sources():
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > MAX_LINES:
            yield _at(path, count, f"{count} lines, at most {MAX_LINES}")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything a file imports, `from a import b` as both a and a.b.

    A relative import keeps its dots. What stands under `if TYPE_CHECKING` runs nowhere and is
    passed over.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "." * node.level + (node.module or "")
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def _sources() -> Iterator[Path]:
    for top in ("firmware", "host", "boards", "tools", "tests"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if "__pycache__" not in path.parts:
                yield path


def _at(path: Path, line: int, text: str) -> str:
    return f"{path.relative_to(ROOT)}:{line}: {text}"


CHECKS = (device_layers, host_layers, full_names, module_sizes)

if __name__ == "__main__":
    sys.exit(main())
