"""Which modules of the firmware a board needs, from what they import and how it is configured.

Knows imports and firmware/slices.toml; neither compiles nor copies. A slice is a part that goes
onto a board only when a setting needs it or somebody asks for it by name.
"""

import ast
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from clsbench.errors import BadInput
from clsbench.paths import firmware_dir

PACKAGE = "dicamm"
START = "dicamm.app.main"  # what main.py imports
BOARD = "board"


@dataclass(frozen=True)
class Slice:
    """One table of slices.toml. setting: key of config.json that needs it, or "". mip: whether
    it is offered as a package of its own."""

    name: str
    title: str
    modules: tuple[str, ...]
    setting: str
    mip: bool


@cache
def slices() -> dict[str, Slice]:
    """All slices by name."""
    path = firmware_dir() / "slices.toml"
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        name: Slice(
            name, each["title"], tuple(each["modules"]), each.get("setting", ""),
            each.get("mip", False),
        )
        for name, each in found.items()
    }  # fmt: skip


def needed_slices(settings: Mapping[str, Any], asked: Iterable[str] = ()) -> list[str]:
    """Names of the slices that these settings need, and of those asked for; sorted.

    Raises BadInput for a name that is none.
    """
    for name in asked:
        if name not in slices():
            raise BadInput(f"--with {name}: no such slice. Known: {', '.join(sorted(slices()))}")
    by_setting = {s.name for s in slices().values() if s.setting and settings.get(s.setting)}
    return sorted(by_setting | set(asked))


def chosen(texts: Mapping[str, str], with_slices: Iterable[str]) -> set[str]:
    """The modules (dotted names) that a board carries.

    texts: source of each module of the firmware, and of `board`. What a slice with a setting
    begins with stays away without it, although other code imports it when it is configured.
    """
    wanted = set(with_slices)
    optional = (each for each in slices().values() if each.setting and each.name not in wanted)
    kept_out = {module for each in optional for module in each.modules}
    roots = [START, BOARD] + [module for name in wanted for module in slices()[name].modules]
    return closure(texts, roots, kept_out - set(roots))


def closure(
    texts: Mapping[str, str], roots: Iterable[str], kept_out: Iterable[str] = ()
) -> set[str]:
    """`roots` and all they import, directly or not, inside functions too; with the packages."""
    barred = set(kept_out)
    reached: set[str] = set()
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module in reached or module in barred or module not in texts:
            continue
        reached.add(module)
        waiting += imported(texts[module], texts)
        waiting += [module.rsplit(".", cut)[0] for cut in range(1, module.count(".") + 1)]
    return reached


def imported(text: str, known: Iterable[str]) -> list[str]:
    """Modules among `known` that a source imports anywhere."""
    names = set(known)
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in dict.fromkeys(found) if name in names]


def firmware_texts() -> dict[str, str]:
    """Source of every module of the firmware, by dotted name."""
    source = firmware_dir()
    paths = sorted(source.rglob(f"{PACKAGE}/**/*.py"))
    return {module_name(path, source): path.read_text(encoding="utf-8") for path in paths}


def module_name(path: Path, source: Path) -> str:
    """`dicamm.proto.crc` of source/dicamm/proto/crc.py; a package has the folder's name."""
    name = path.relative_to(source).as_posix()
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
