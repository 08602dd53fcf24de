"""Machine code of the protocol cores on a real Thumb core: the vectors of the host, run there."""

import re
from pathlib import Path

import pytest
from rp2040_kit import UF2, compiled, compiled_test, needs_image

from clsbench.hil.rp2040.board import Rp2040Board

DUAL = Path(__file__).parents[1] / "dual"
VECTORS = ("test_crc", "test_modbus", "test_sml")
# hundreds of telegrams, or a search through 65,536 numbers: minutes of an emulator, nothing new
TOO_LONG = ("test_every_cut_gives_the_same_events", "test_message_checksum_of_one_byte")
RUN = """
import gc, sys
import {name} as tests
ran, failed = 0, []
for name in dir(tests):
    if name.startswith("test_") and name not in {too_long!r}:
        gc.collect()
        ran += 1
        try:
            getattr(tests, name)()
        except Exception as error:
            failed.append(name)
            sys.print_exception(error)
print("ran", ran, failed)
"""

pytestmark = [needs_image, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def pico(tmp_path_factory):
    """The cores and the vectors on a Pico without the application."""
    board = Rp2040Board(tmp_path_factory.mktemp("pico"), Path(UF2))
    vectors = [compiled_test(DUAL / f"{name}.py") for name in VECTORS]
    board.start(compiled("dicamm.__init__", "dicamm.proto") + vectors)
    yield board
    board.close()


def test_the_cores_run_in_machine_code(pico):
    printed = pico.repl(
        "from dicamm.proto import crc, modbus_loops, sml_loops\n"
        "print(crc.run_viper is not None, modbus_loops.VIPER, sml_loops.VIPER)"
    )
    assert printed.split() == ["True", "True", "True"]


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_of_the_host_give_the_same_on_the_chip(pico, name):
    printed = pico.repl(RUN.format(name=name, too_long=TOO_LONG), deadline_s=300.0)
    ran, count, failed = printed.strip().splitlines()[-1].split(" ", 2)
    assert (ran, failed) == ("ran", "[]"), printed
    named = re.findall(r"^def (test_\w+)", (DUAL / f"{name}.py").read_text(), re.MULTILINE)
    assert int(count) == len(set(named) - set(TOO_LONG))
