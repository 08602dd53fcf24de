"""A board is recognised by its own words, and what cannot run the firmware is told why."""

import pytest

from clsbench.device.recognise import recognise
from clsbench.errors import BadInput, PeerRefused

PICO = ("rp2", "micropython", (1, 24, 1), "Raspberry Pi Pico with RP2040", 4870)


class Answering:
    """A REPL that gives one answer."""

    port = "/dev/x"

    def __init__(self, answer):
        self.answer = answer

    def run(self, code):
        return f"{self.answer!r}\n"


def test_a_stock_pico_is_a_pico():
    found = recognise(Answering(PICO))
    assert (found.facts.name, found.micropython) == ("rpi_pico", "1.24.1")


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (("rp2", "circuitpython", (9, 1, 0), "x", 4870), PeerRefused, "needs MicroPython"),
        (("rp2", "micropython", (1, 23, 0), PICO[3], 4870), PeerRefused, "older than 1.24"),
        (("rp2", "micropython", (1, 24, 0), PICO[3], 4869), PeerRefused, "bytecode 5"),
        (("rp2", "micropython", (1, 24, 0), "Odd Board", 4870), BadInput, "--board .*rpi_pico"),
    ],
)
def test_what_cannot_run_the_firmware_is_refused(answer, error, words):
    with pytest.raises(error, match=words):
        recognise(Answering(answer))


def test_a_wrong_name_is_refused():
    with pytest.raises(BadInput, match="that is no esp32_c3"):
        recognise(Answering(PICO), "esp32_c3")
    with pytest.raises(BadInput, match="native code is armv6m: rpi_pico2_w has armv7emsp"):
        recognise(Answering(PICO), "rpi_pico2_w")


def test_a_name_that_fits_another_image_of_the_same_chip_is_refused():
    with pytest.raises(BadInput, match="that is rpi_pico, not rpi_pico_w.*\n.*RPI_PICO_W-.*uf2"):
        recognise(Answering(PICO), "rpi_pico_w")
