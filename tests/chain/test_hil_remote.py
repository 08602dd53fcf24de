"""The HIL suite on a board that is somewhere else: served over RFC 2217, switched by a command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(600)

TESTS = (
    "test_boot_and_console.py::test_the_console_is_handed_to_the_repl_and_back",
    "test_relay.py::test_the_device_reads_back_what_the_relay_does",
    "test_power.py::test_a_cut_right_after_an_answer_loses_nothing",
    "test_ring.py",
)


@pytest.fixture
def options(tmp_path):
    """What the server of a unix board says it is to be driven with."""
    server = [sys.executable, str(ROOT / "tests" / "tools" / "board_server.py"), str(tmp_path)]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(60) == 0


def test_the_suite_runs_through_rfc2217_with_power_bus_and_relay(options, tmp_path):
    report = tmp_path / "hil.xml"
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:xdist", f"--junitxml={report}"]
    command += [f"{name}={value}" for name, value in options.items()]
    command += [f"tests/hil/{name}" for name in TESTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed, 1 skipped" in done.stdout
    assert "lacks records (the bench can fill its record flash)" in done.stdout
    assert options["--board"] in report.read_text()
