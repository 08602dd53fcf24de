# Freezes the firmware into an own image of MicroPython: docs/own-image.md.
# ruff: noqa: F821 (names of MicroPython's manifest files)
include("$(PORT_DIR)/boards/RPI_PICO/manifest.py")
package("dicamm", base_path="../../firmware")
module("slots.py", base_path="../../firmware")
module("board.py")
