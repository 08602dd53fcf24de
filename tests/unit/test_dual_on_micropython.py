"""Every dual test that pytest sees on CPython passes in MicroPython; the runner tells when not."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DUAL_FILES = sorted((ROOT / "tests" / "dual").glob("test_*.py"))


def _load_run_dual():
    spec = importlib.util.spec_from_file_location("run_dual", ROOT / "tools" / "run_dual.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["run_dual"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


run_dual = _load_run_dual()


def names_in(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("path", DUAL_FILES, ids=lambda path: path.stem)
def test_same_tests_pass_in_micropython(path):
    result = run_dual.run_file(path)
    assert result.ok, result.output
    assert result.passed == names_in(path)


def test_there_are_dual_tests():
    assert DUAL_FILES


def test_failure_is_told_and_ends_with_1(tmp_path, capfd):
    file = tmp_path / "test_sample.py"
    file.write_text("def test_good():\n    pass\n\n\ndef test_bad():\n    assert 1 == 2\n")
    assert run_dual.main([str(file)]) == 1
    printed = capfd.readouterr().out
    assert "PASS test_sample.py::test_good" in printed
    assert "FAIL test_sample.py::test_bad" in printed
    assert "AssertionError" in printed


@pytest.mark.parametrize(
    "source", ["import nothing_of_that_name\n", "def test_x(:\n", "import sys\nsys.exit(0)\n"]
)
def test_file_that_cannot_be_imported_is_a_failure(tmp_path, source):
    file = tmp_path / "test_sample.py"
    file.write_text(source)
    result = run_dual.run_file(file)
    assert not result.ok and result.failed == {"import"}


def test_interpreter_that_dies_is_a_failure(tmp_path):
    file = tmp_path / "test_sample.py"
    file.write_text("import os\n\n\ndef test_x():\n    os.system('kill -9 $PPID')\n")
    result = run_dual.run_file(file)
    assert not result.ok and "stopped before its end" in result.output


def test_endless_test_is_a_failure(tmp_path):
    file = tmp_path / "test_sample.py"
    file.write_text("import time\n\n\ndef test_x():\n    while True:\n        time.sleep(1)\n")
    result = run_dual.run_file(file, timeout_s=0.5)
    assert not result.ok and "no end after 0.5 s" in result.output


def test_heap_option_bounds_the_heap(tmp_path):
    file = tmp_path / "test_sample.py"
    file.write_text("def test_x():\n    assert len(bytearray(300000)) == 300000\n")
    assert run_dual.run_file(file, heap="1m").ok
    assert run_dual.run_file(file, heap="200k").failed == {"test_x"}


def test_missing_interpreter_is_an_error(monkeypatch, capsys):
    monkeypatch.setenv("CLSBENCH_MICROPYTHON", "/nowhere/micropython")
    assert run_dual.main([str(DUAL_FILES[0])]) == 3
    assert "CLSBENCH_MICROPYTHON=/nowhere/micropython" in capsys.readouterr().err
