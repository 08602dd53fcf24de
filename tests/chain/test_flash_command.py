"""`clsbench flash` from a blank board to a passed self-test, again, interrupted, and off."""

import asyncio
import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

from clsbench.device import selftest
from clsbench.device.boards import board_facts
from clsbench.device.flash import mpremote
from clsbench.errors import PeerRefused
from clsbench.hil.ptys import Pty
from clsbench.hil.unix_board import UnixBoard

pytestmark = pytest.mark.hil

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "flash.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(toml|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

_SPEC = importlib.util.spec_from_file_location("flash_kills", ROOT / "tools" / "flash_kills.py")
flash_kills = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(flash_kills)


@contextmanager
def blank_board(folder):
    """A unix board with an empty flash, its bus without a meter."""
    bus = Pty()
    try:
        with UnixBoard(folder, uarts={0: bus.path}) as board:
            board.wait_for_boot()
            yield board
    finally:
        bus.close()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def clsbench(folder, cache, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "clsbench", *arguments],
        cwd=folder,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        timeout=280,
        stdin=subprocess.DEVNULL,
    )


def flash(folder, cache, port, *more):
    done = clsbench(folder, cache, "flash", "--port", port, "--json", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout), done


def test_a_blank_board_becomes_a_device_and_again_costs_nothing(tmp_path, cache):
    with blank_board(tmp_path / "board") as board:
        looked, _ = flash(tmp_path, cache, board.path, "--dry-run")
        assert len(looked["to_copy"]) > 50 and not (tmp_path / "keys").exists()
        first, done = flash(tmp_path, cache, board.path)
        assert first["ok"] and first["copied"]["unchanged"] == 0
        checks = {check["name"]: check["ok"] for check in first["checks"]}
        told = {"meter"}  # nothing answers on the bus
        assert all(checks[name] for name in checks.keys() - told) and checks["meter"] is None
        key = tmp_path / "keys" / "ETST0020000017.key"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert key.read_bytes().hex() not in done.stdout + done.stderr
        again, _ = flash(tmp_path, cache, board.path)
        assert again["ok"] and again["copied"]["files"] == 0
        (tmp_path / "dicamm.toml").write_text('device_id = "ETST0020000018"\n')
        changed, _ = flash(tmp_path, cache, board.path)
        assert changed["to_copy"] == ["config.json", "records.key", "main.py"]
        assert (tmp_path / "keys" / "ETST0020000018.key").is_file()


def test_a_meter_that_was_promised_and_is_silent_fails_the_self_test(tmp_path, cache):
    with blank_board(tmp_path / "board") as board:
        done = clsbench(tmp_path, cache, "flash", "--port", board.path, "--expect-meter")
    assert done.returncode == 1 and "✗ meter" in done.stdout and "Failed." in done.stdout


def test_flashing_killed_at_random_instants_ends_well_when_repeated(tmp_path):
    rig = flash_kills.KillRig(tmp_path, seed=5)
    with blank_board(tmp_path / "board") as board:
        assert rig.flash(board.path)
    for number in range(2):
        with blank_board(tmp_path / f"board{number}") as board:
            rig.trial(board.path, longest_s=2.5)
    assert rig.failed == 0


def test_a_part_that_a_setting_needs_and_the_board_lacks_is_named(tmp_path, cache):
    (tmp_path / "dicamm.toml").write_text("[settings]\nsign = 1\n")
    with blank_board(tmp_path / "board") as board:
        done, _ = flash(tmp_path, cache, board.path)
        assert done["slices"] == ["sign"]
        mpremote(board.path, "fs", "rm", "lib/dicamm/proto/cose_sign1.mpy", "+", "reset")
        expected = selftest.Expectation(board_facts("unix"))
        with pytest.raises(PeerRefused, match="left out at flashing.*cose_sign1"):
            asyncio.run(selftest.run(board.path, expected))


def test_off_again_leaves_no_key_and_no_firmware(tmp_path, cache):
    with blank_board(tmp_path / "board") as board:
        flash(tmp_path, cache, board.path)
        done = clsbench(tmp_path, cache, "unflash", "--port", board.path)
        assert done.returncode == 0, done.stderr
        assert "main.py" not in mpremote(board.path, "fs", "ls")
    key = (tmp_path / "keys" / "ETST0020000017.key").read_bytes()
    nor = (tmp_path / "board" / "record.nor").read_bytes()
    assert nor[-2 * 4096 :] == b"\xff" * 8192 and key not in nor


def emulated_pico(folder):
    return flash_kills.blank_pico(folder, Path(os.environ["CLSBENCH_UF2"]))


@pytest.mark.parametrize(
    "board",
    [
        pytest.param(blank_board, id="unix"),
        pytest.param(
            emulated_pico,
            id="rp2040",
            marks=[
                pytest.mark.timeout(2400),
                pytest.mark.skipif(
                    "CLSBENCH_UF2" not in os.environ,
                    reason="no image of MicroPython for a Pico: set CLSBENCH_UF2",
                ),
            ],
        ),
    ],
)
def test_the_newcomers_way_in_the_documentation_works_word_for_word(board, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("clsbench", "mpremote"):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {name} "$@"\n')
        program.chmod(0o755)
    (tmp_path / "firmware").symlink_to(ROOT / "firmware")
    with board(tmp_path / "board") as there:
        environment = os.environ | {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "CLSBENCH_START_S": "900",
            "PORT": there.path,
        }
        for kind, text in BLOCK.findall(DOC):
            if kind == "toml":
                (tmp_path / "dicamm.toml").write_text(text, encoding="utf-8")
                continue
            for command in text.replace("PORT=/dev/ttyACM0\n", "").splitlines():
                done = subprocess.run(
                    ["sh", "-c", command],
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=1200,
                    stdin=subprocess.DEVNULL,
                )
                assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def test_a_port_that_another_program_holds_is_said_to_be_busy(tmp_path, cache):
    with blank_board(tmp_path / "board") as board, serial.Serial(board.path, exclusive=True):
        for command in (["flash", "--dry-run"], ["status"], ["unflash"]):
            done = clsbench(tmp_path, cache, *command, "--port", board.path)
            assert done.returncode == 3 and "Another program holds it" in done.stderr


def test_a_dry_run_names_what_it_would_make_and_shows_no_bar(tmp_path, cache):
    with blank_board(tmp_path / "board") as board:
        done = clsbench(tmp_path, cache, "flash", "--port", board.path, "--dry-run")
        assert "would make    keys/ETST0020000017.key (0600)" in done.stdout
        clsbench(tmp_path, cache, "flash", "--port", board.path)
        again = clsbench(tmp_path, cache, "flash", "--port", board.path, "--dry-run")
    assert "would make" not in again.stdout and "would copy    nothing" in again.stdout
    assert all(line.startswith("clsbench: ") for line in done.stderr.splitlines())
