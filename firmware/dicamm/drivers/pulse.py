"""Driver-enable pin held high for the length of a frame by a PIO state machine (RP2040, RP2350).

Nothing that the CPU does meanwhile (another task, a garbage collection, an erase of flash) moves
its end: the answer may begin 3.5 characters after the last bit.
"""

import rp2  # pyright: ignore - of MicroPython's rp2 port

_HZ = 200000  # on within two of these, sooner than the UART gets its first byte
_PASS_US = 5


# ruff: noqa: F821 - the assembler brings the names
@rp2.asm_pio(set_init=rp2.PIO.OUT_LOW)
def _hold():
    pull(block)  # pyright: ignore
    set(pins, 1)  # pyright: ignore
    mov(x, osr)  # pyright: ignore
    label("on")  # pyright: ignore
    jmp(x_dec, "on")  # pyright: ignore
    set(pins, 0)  # pyright: ignore


class Pulse:
    """pin: machine.Pin, which belongs to the state machine `number` from now on."""

    def __init__(self, pin, number=0):
        self._machine = rp2.StateMachine(number, _hold, freq=_HZ, set_base=pin)
        self._machine.active(1)

    def start(self, us):
        """High at once, low again after `us` microseconds."""
        self._machine.put(us // _PASS_US)
