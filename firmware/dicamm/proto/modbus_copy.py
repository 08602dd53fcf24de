"""Copying received bytes at machine speed, without a slice object on the heap.

MicroPython with a native emitter only; modbus.py falls back to a loop where this cannot load.
"""

import micropython


@micropython.viper
def copy_bytes(target: ptr8, at: int, source: ptr8, first: int, count: int):  # noqa: F821  # pyright: ignore
    """target[at : at + count] = source[first : first + count], lowest index first.

    The caller has checked that both ranges lie inside their buffers.
    """
    for index in range(count):
        target[at + index] = source[first + index]
