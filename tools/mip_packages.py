"""Writes firmware/package*.json: the protocol cores as packages for `mip`, one for each slice.

    python tools/mip_packages.py          writes them; a test holds them against this

package.json is all of them. Paths are relative to the file, so that a folder on this machine, a
web server and a forge serve alike (docs.micropython.org, reference/packages).
"""

import json
import sys
from pathlib import Path

from clsbench.device.modules import closure, firmware_texts, slices
from clsbench.paths import firmware_dir
from dicamm import VERSION


def packages() -> dict[str, str]:
    """File name -> content of every package."""
    texts = firmware_texts()
    offered = {name: each.modules for name, each in slices().items() if each.mip}
    found = {f"package-{name}.json": _package(texts, mods) for name, mods in offered.items()}
    everything = tuple(module for modules in offered.values() for module in modules)
    return found | {"package.json": _package(texts, everything)}


def _package(texts: dict[str, str], modules: tuple[str, ...]) -> str:
    paths = sorted(_path(module) for module in closure(texts, modules))
    document = {"version": VERSION, "urls": [[path, path] for path in paths], "deps": []}
    return json.dumps(document, indent=1) + "\n"


def _path(module: str) -> str:
    path = module.replace(".", "/")
    return f"{path}/__init__.py" if (firmware_dir() / path).is_dir() else f"{path}.py"


def main(folder: Path) -> int:
    """Writes what differs and takes away what is left over; returns the exit code."""
    wanted = packages()
    for stale in {path.name for path in folder.glob("package*.json")} - wanted.keys():
        (folder / stale).unlink()
    for name, content in wanted.items():
        (folder / name).write_text(content, encoding="utf-8")
    print(f"mip_packages: {len(wanted)} packages in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(firmware_dir()))
