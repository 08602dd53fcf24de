"""The packages for mip are those of the source as it is, and whole."""

import importlib.util
import json
import subprocess

import pytest

from clsbench.device.modules import slices
from clsbench.hil.interpreter import find_micropython
from clsbench.paths import firmware_dir

_SPEC = importlib.util.spec_from_file_location(
    "mip_packages", firmware_dir().parent / "tools" / "mip_packages.py"
)
tool = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(tool)


def test_package_files_are_up_to_date():
    stored = {path.name: path.read_text("utf-8") for path in firmware_dir().glob("package*.json")}
    assert stored == tool.packages(), "run: python tools/mip_packages.py"


@pytest.mark.parametrize("name", [each.name for each in slices().values() if each.mip])
def test_a_package_alone_imports_on_micropython(name, tmp_path):
    package = json.loads((firmware_dir() / f"package-{name}.json").read_text("utf-8"))
    for path, source in package["urls"]:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((firmware_dir() / source).read_bytes())
    modules = [module for module in slices()[name].modules if ".drivers." not in module]
    code = "; ".join(f"import {module}" for module in modules)
    done = subprocess.run(
        [find_micropython(), "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
