"""Device ids of DIN 43863-5 between print and line."""

import pytest

from clsbench.errors import BadInput
from clsbench.meters.device_id import device_id, server_id


def test_the_published_example_of_a_server_id():
    assert server_id("1EMH0012345678") == bytes.fromhex("0a01454d480000bc614e")


@pytest.mark.parametrize(
    "text", ["1EMH0098765432", "EPPC0215990320", "ETST0010000001", "7ABC9999999999"]
)
def test_print_to_line_and_back(text):
    assert len(server_id(text)) == 10
    assert device_id(server_id(text)) == text


def test_block_and_medium_have_a_byte_each():
    assert server_id("EPPC0215990320")[1:6] == b"\x0ePPC\x02"


@pytest.mark.parametrize(("printed", "block"), [("09", 9), ("10", 10), ("16", 16), ("99", 99)])
def test_two_decimal_digits_are_the_blocks_byte(printed, block):
    text = f"1ESY{printed}61229886"
    assert server_id(text)[5] == block
    assert device_id(server_id(text)) == text


@pytest.mark.parametrize(
    "text", ["1EMH0C12345678", "", "1EMH001234567", "1emh0012345678", "GEMH0012345678"]
)
def test_what_is_no_device_id_is_refused_with_the_form_expected(text):
    with pytest.raises(BadInput, match="1EMH0012345678"):
        server_id(text)


@pytest.mark.parametrize(
    "data",
    [
        "0901454d480000bc614e",  # form of 2010
        "06454d4801027153c8c6",
        "01a815133577030102",  # wireless M-Bus address
        "0a1e454d480000bc614e",  # no such medium
        "0a01456d480000bc614e",  # small letter
        "0a01454d486400bc614e",  # block 100
        "0a01454d480005f5e100",  # number of nine digits
        "",
    ],
)
def test_other_forms_are_shown_as_hex(data):
    assert device_id(bytes.fromhex(data)) == data
