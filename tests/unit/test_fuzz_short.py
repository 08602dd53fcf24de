"""A short fuzzing run of each target, and the same targets on random bytes for want of atheris."""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parents[2] / "tools" / "fuzz"
TARGETS = ["modbus", "sml", "hdlc", "mbus", "wmbus"]
RUNS = 2500
ATHERIS = importlib.util.find_spec("atheris") is not None


def load(path: Path):
    spec = importlib.util.spec_from_file_location(f"fuzz_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.skipif(not ATHERIS, reason="no atheris for this platform: random bytes instead")
def test_coverage_guided_run_finds_nothing(name: str, tmp_path: Path):
    command = [sys.executable, str(FUZZ / "run.py"), name, "--runs", str(RUNS)]
    done = subprocess.run(
        [*command, "--corpus", str(tmp_path)], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{RUNS} executions" in done.stdout


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_their_mutants_hold(name: str):
    module = load(FUZZ / f"{name}.py")
    chooser = random.Random(name)
    seeds = module.seeds()
    for seed in seeds:
        module.target(seed)
    for _ in range(600):
        mutant = bytearray(chooser.choice(seeds) + chooser.randbytes(chooser.randrange(4)))
        for _ in range(chooser.randrange(1, 4)):
            mutant[chooser.randrange(len(mutant))] = chooser.randrange(256)
        module.target(bytes(mutant))


def test_a_breach_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FUZZ))
    broken = tmp_path / "broken.py"
    source = FUZZ.joinpath("modbus.py").read_text(encoding="utf-8")
    broken.write_text(source.replace("assert done or not client.payload", "assert not done"))
    module = load(broken)
    whole_reply = module.seeds()[0]
    with pytest.raises(AssertionError):
        module.target(whole_reply)
