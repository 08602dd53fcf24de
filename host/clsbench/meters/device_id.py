"""Device ids of DIN 43863-5: the 14 printed characters and the server id on the line.

Knows the 2012 form (0A) both ways: two decimal digits are the block's byte, as TRuDI reads it
(form 09 of 2010 had hex digits). Bytes 100 to 254 have no printed form. Older server ids (09,
06), wireless and wired M-Bus addresses (01, 02) have no printed form of that shape and are shown
as hex text.
"""

import re

from clsbench.errors import BadInput

_PRINTED = re.compile(r"([0-9A-F])([A-Z]{3})([0-9]{2})([0-9]{8})")
FORM_2012 = 0x0A


def server_id(meter_id: str) -> bytes:
    """The 10 bytes that stand for a printed device id such as `1EMH0012345678`.

    0A, medium, three letters of the manufacturer, block, number (32 bit, big endian). Raises
    BadInput when the text is not medium digit, three letters, ten digits.
    """
    parts = _PRINTED.fullmatch(meter_id)
    if parts is None:
        raise BadInput(
            f"device id '{meter_id}': expected medium digit, three capital letters and ten"
            " digits (DIN 43863-5), such as 1EMH0012345678"
        )
    medium, letters, block, number = parts.groups()
    head = bytes((FORM_2012, int(medium, 16))) + letters.encode("ascii")
    return head + bytes((int(block),)) + int(number).to_bytes(4, "big")


def device_id(server_id_bytes: bytes) -> str:
    """The printed form of a server id, or its hex text where it has none."""
    text = _printed(server_id_bytes)
    return server_id_bytes.hex() if text is None else text


def _printed(data: bytes) -> str | None:
    if len(data) != 10 or data[0] != FORM_2012 or data[1] > 0x0F:
        return None
    letters, block, number = data[2:5], data[5], int.from_bytes(data[6:], "big")
    if not all(0x41 <= letter <= 0x5A for letter in letters):
        return None
    if block > 99 or number > 99_999_999:
        return None
    return f"{data[1]:X}{letters.decode('ascii')}{block:02d}{number:08d}"
