"""The loops of an SML receiver as fast as this interpreter has them.

VIPER: in machine code; then the loops besides `take` exist too. Else `take` is in bytecode, and
`sml_message` reads every telegram element by element, with the same result.
"""

from array import array

try:
    from dicamm.proto.sml_entries_viper import read_entries
    from dicamm.proto.sml_list_viper import read_list
    from dicamm.proto.sml_skim_viper import skim
    from dicamm.proto.sml_take_viper import take

    VIPER = True
except (ImportError, SyntaxError, ValueError, NameError, AttributeError):
    # CPython; no emitter for this processor; compiled for another one
    from dicamm.proto.sml_bytecode import take

    read_entries = read_list = skim = None
    VIPER = False

__all__ = ("TABLES", "VIPER", "crc16_kermit", "read_entries", "read_list", "skim", "take")


def crc_tables():
    """CRC-16/CCITT reflected: one byte at a time; behind it the table of the byte before; behind
    that four tables that carry the four digits of a register over 16 zero bytes.
    """
    table = array("H", bytes(2 * (512 + 64)))
    for index in range(256):
        crc = index
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
        table[index] = crc
    for index in range(256):
        table[256 + index] = table[index] >> 8 ^ table[table[index] & 0xFF]
    for index in range(64):
        crc = (index & 15) << (index >> 4 << 2)
        for _ in range(16):
            crc = crc >> 8 ^ table[crc & 0xFF]
        table[512 + index] = crc
    return table


if VIPER:  # `crc` with its loops and tables is not needed then
    TABLES = crc_tables()

    def crc16_kermit(buf, start, end):
        """As crc.crc16_kermit; takes nothing from the heap."""
        crc = 0
        for index in range(start, end):
            crc = crc >> 8 ^ TABLES[(crc ^ buf[index]) & 0xFF]
        return crc
else:
    from dicamm.proto.crc import crc16_kermit

    TABLES = array("H")  # of no use to bytecode
