# ruff: noqa: F821
# pyright: reportUndefinedVariable=false
"""The loop of `crc` in machine code: MicroPython only, compiled by mpy-cross for the board's
processor, or at import where the image has a compiler that emits it.

Arguments used in the loop come first: viper keeps the first three variables in registers.
"""

import micropython


@micropython.viper
def run(crc: int, table: ptr16, buf: ptr8, start: int, end: int) -> int:
    """As crc.run_bytecode. table: 256 words of 16 bits; no check of the range."""
    while start < end:
        crc = (crc >> 8) ^ table[(crc ^ buf[start]) & 0xFF]
        start += 1
    return crc
