"""docs/new-meter.md can be followed word for word: its files are written, its commands run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "new-meter.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(toml|sh) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what the steps touch, so that they change nothing here."""
    top = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("firmware", "host", "tests/unit/meter_vectors"):
        shutil.copytree(ROOT / name, top / name, ignore=ignore)
    for name in ("tests/unit/test_meter_vectors.py", "pyproject.toml"):
        shutil.copy(ROOT / name, top / name)
    programs = top / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, words in (("python", ""), ("clsbench", "-m clsbench ")):
        program = programs / name  # no link: Python looks for its packages beside its own name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n', encoding="utf-8")
        program.chmod(0o755)
    return top


def run(checkout: Path, script: str) -> str:
    environment = os.environ | {"PYTHONPATH": f"{checkout / 'host'}:{checkout / 'firmware'}"}
    done = subprocess.run(
        ["bash", "-e", "-m", "-c", script],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_steps_lead_to_a_meter_that_is_played_found_and_read(checkout):
    told = []
    for kind, name, text in BLOCK.findall(DOC):
        if kind == "toml":
            (checkout / name).write_text(text, encoding="utf-8")
        else:
            told.append(run(checkout, text))
    show, vectors, played = told
    assert "unknown: nothing" in show and "the sheet does not say" in show
    assert "3 passed" in vectors
    assert "acme_em1" in played and "2 of 3" in played
    assert re.search(r"1-0:16\.7\.0\*255\s+│\s+2300 │ W", played)
    assert re.search(r"1-0:1\.8\.0\*255\s+│\s+12345\d0 │ Wh", played)


def test_every_key_of_a_register_is_explained():
    for key in ("type", "unit", "resolution", "factor", "word_order", "no_value", "doubt"):
        assert f"| `{key}" in DOC
