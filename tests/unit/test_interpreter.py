"""Which MicroPython the unix board runs on, and what is said when there is none."""

import platform
import sys
from pathlib import Path

import pytest

from clsbench.errors import EnvironmentProblem
from clsbench.hil import interpreter


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\nexit 3\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without any interpreter."""
    monkeypatch.delenv(interpreter.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


def test_variable_comes_before_environment_before_path(bare, monkeypatch):
    on_path = executable(bare / "path" / "micropython")
    assert interpreter.find_micropython() == on_path
    beside = executable(bare / "venv" / "bin" / "micropython")
    assert interpreter.find_micropython() == beside
    named = executable(bare / "own" / "mp")
    monkeypatch.setenv(interpreter.VARIABLE, str(named))
    assert interpreter.find_micropython() == named


def test_variable_that_names_no_program_is_said_to(bare, monkeypatch):
    monkeypatch.setenv(interpreter.VARIABLE, "/no/such/mp")
    with pytest.raises(EnvironmentProblem, match="CLSBENCH_MICROPYTHON=/no/such/mp is no program"):
        interpreter.find_micropython()


@pytest.mark.parametrize(
    ("system", "machine", "remedy"),
    [
        ("Linux", "x86_64", "make setup"),
        ("Darwin", "arm64", "make setup"),
        ("Linux", "aarch64", "apt install micropython"),
        ("Darwin", "x86_64", "brew install micropython"),
        ("Windows", "AMD64", "serial port"),
    ],
)
def test_without_interpreter_the_platforms_own_way_is_named(
    bare, monkeypatch, system, machine, remedy
):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(EnvironmentProblem, match=remedy):
        interpreter.find_micropython()


def test_version_is_what_the_interpreter_says():
    assert "MicroPython" in interpreter.micropython_version()


def test_program_that_is_no_interpreter_is_named(tmp_path):
    other = executable(tmp_path / "other")
    with pytest.raises(EnvironmentProblem, match=f"{other} does not run as MicroPython"):
        interpreter.micropython_version(other)
