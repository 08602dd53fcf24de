"""M-Bus telegrams as a meter sends them, for simulated meters (EN 13757-2, -3).

Knows how records, headers and frames are built; written apart from the device's reader, so
that one can be checked with the other. Raises BadInput for values that do not fit.
"""

from clsbench.errors import BadInput

RSP_UD = 0x08
ACKNOWLEDGE = b"\xe5"
MORE_FOLLOWS = b"\x1f"
MAX_USER_DATA = 252  # behind control, address and CI field

_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 8: 7}  # bytes: data field
_BCD = {1: 9, 2: 10, 3: 11, 4: 12, 6: 14}
_FUNCTIONS = {"instantaneous": 0, "maximum": 1, "minimum": 2, "error": 3}
# DLMS unit: first VIF code of the quantity, its exponent, number of codes
_VIFS = {30: (0x00, -3, 8), 25: (0x08, 0, 8), 13: (0x10, -6, 8), 27: (0x28, -3, 8)}
_VIFS |= {15: (0x38, -6, 8), 9: (0x58, -3, 4), 52: (0x60, -3, 4)}


def data_information(
    field: int, function: str = "instantaneous", storage: int = 0, tariff: int = 0, device: int = 0
) -> bytes:
    """DIF and as many DIFEs as the numbers take."""
    first = field | _FUNCTIONS[function] << 4 | (storage & 1) << 6
    storage >>= 1
    out = [first]
    while storage or tariff or device:
        out[-1] |= 0x80
        out.append(storage & 15 | (tariff & 3) << 4 | (device & 1) << 6)
        storage, tariff, device = storage >> 4, tariff >> 2, device >> 1
    if len(out) > 11:
        raise BadInput("M-Bus record: storage, tariff or device takes more than 10 DIFEs")
    return bytes(out)


def value_information(unit: int, scaler: int) -> bytes:
    """The VIF for a DLMS unit and a power of ten. Raises BadInput where there is none."""
    first, exponent, count = _VIFS.get(unit, (0, 0, 0))
    if not 0 <= scaler - exponent < count:
        raise BadInput(f"M-Bus record: no VIF for unit {unit} times 10^{scaler}")
    return bytes([first + scaler - exponent])


def integer(number: int, size: int, vib: bytes, **where: int | str) -> bytes:
    """A record with a binary number of `size` bytes; where: as for data_information."""
    try:
        data = number.to_bytes(size, "little", signed=True)
        return data_information(_INTEGERS[size], **where) + vib + data  # pyright: ignore[reportArgumentType]
    except (OverflowError, KeyError) as error:
        raise BadInput(f"M-Bus record: {number} in {size} bytes: {error}") from error


def bcd(number: int, size: int, vib: bytes, **where: int | str) -> bytes:
    """A record with a BCD number of `size` bytes, negative ones with Fh as first digit."""
    digits = str(abs(number)).zfill(2 * size)
    if number < 0 and digits[0] == "0":
        digits = "f" + digits[1:]
    if len(digits) > 2 * size or number < 0 and digits[0] != "f" or size not in _BCD:
        raise BadInput(f"M-Bus record: {number} in {size} bytes of BCD")
    data = bytes.fromhex(digits)[::-1]
    return data_information(_BCD[size], **where) + vib + data  # pyright: ignore[reportArgumentType]


def secondary_address(identification: str, manufacturer: str, version: int, medium: int) -> bytes:
    """Eight bytes as slaves send them: "12345678", "ELS", 51, 3."""
    if len(identification) != 8 or len(manufacturer) != 3:
        raise BadInput(
            f"M-Bus address {identification} {manufacturer}: expected 8 digits, 3 letters"
        )
    code = 0
    for letter in manufacturer.upper():
        code = code << 5 | ord(letter) - 64
    return (
        bytes.fromhex(identification)[::-1] + code.to_bytes(2, "little") + bytes([version, medium])
    )


def telegram(
    secondary: bytes, records: bytes, access: int = 0, status: int = 0, config: int = 0
) -> bytes:
    """From the CI field on: long header and records."""
    if len(records) > MAX_USER_DATA - 12:
        raise BadInput(f"M-Bus telegram: {len(records)} bytes of records")
    head = bytes([0x72]) + secondary + bytes([access & 0xFF, status])
    return head + config.to_bytes(2, "little") + records


def long_frame(control: int, address: int, data: bytes) -> bytes:
    """A long frame; data: from the CI field on."""
    body = bytes([control, address]) + data
    return bytes([0x68, len(body), len(body), 0x68]) + body + bytes([sum(body) & 0xFF, 0x16])
