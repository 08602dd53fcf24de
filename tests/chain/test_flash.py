"""Flashing with stock mpremote: fast, only what changed, and wrong is said aloud."""

import os

import pytest

from clsbench.device.flash import flash, mpremote
from clsbench.errors import BadInput, EnvironmentProblem, PeerRefused
from clsbench.hil.unix_board import UnixBoard

pytestmark = pytest.mark.hil


@pytest.fixture
def board(tmp_path):
    with UnixBoard(tmp_path / "board") as board:
        yield board


def test_flashing_forty_files_takes_seconds_and_only_changes_travel(board):
    files = [(f"lib/dicamm/part{n % 5}/m{n}.mpy", os.urandom(2000)) for n in range(40)]
    report = flash(board.path, files)
    assert (report.written, report.unchanged, report.removed) == (40, 0, 0)
    assert report.seconds < 6
    files[7] = (files[7][0], b"changed")
    report = flash(board.path, files[:-1])
    assert (report.written, report.unchanged, report.removed) == (1, 38, 1)
    listing = mpremote(board.path, "fs", "ls", "lib/dicamm/part4")
    assert "m39.mpy" not in listing and "m34.mpy" in listing


def test_flash_to_a_port_that_is_none_names_it():
    with pytest.raises(EnvironmentProblem, match="/dev/tty-none cannot be opened"):
        flash("/dev/tty-none", [("main.py", b"")])


def test_flash_refuses_a_path_outside_the_board(board):
    with pytest.raises(BadInput, match=r"'\.\./main\.py'"):
        flash(board.path, [("../main.py", b"")])


def test_flash_of_more_than_fits_says_so(tmp_path):
    with (
        UnixBoard(tmp_path, env={"HIL_FLASH_BLOCKS": "32"}) as board,
        pytest.raises(PeerRefused, match=r"big\.bin: No space left"),
    ):
        flash(board.path, [("big.bin", os.urandom(150_000))])
