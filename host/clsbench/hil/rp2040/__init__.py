"""An emulated Raspberry Pi Pico that boots a stock MicroPython image, as a board on the bench."""
