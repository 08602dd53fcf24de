"""Storage and ports of boards with an RP2040 or RP2350, from the numbers that board.py states.

Knows rp2.Flash, PIO and this chip's UART; which pin is what, and how long each part of the storage
is, is the board's.
"""

import os

import machine
import rp2

from dicamm.drivers import chip
from dicamm.drivers.flash import FlashRegion, Storage
from dicamm.drivers.pulse import Pulse
from dicamm.store.configuration import SettingsError

_RECEIVE_CHARS = 5  # the UART tells of bytes when 4 have come, or none for so long


def storage(fs_sectors, first_sector, records, settings):
    """Records and settings, from `first_sector` on, behind a file system of `fs_sectors`.

    Refuses as long as the file system is longer than that (a stock image has it over all).
    """

    def device():
        if os.statvfs("/")[2] > fs_sectors:
            raise SettingsError("the file system reaches into the records: run clsbench flash")
        sector = FlashRegion.SECTOR
        return rp2.Flash(start=first_sector * sector, len=(records + settings) * sector)

    return Storage(device, records, settings)


def build(settings, flash, relay, read_back, inputs, led, bus, enable):
    """The ports; called once. enable: the driver-enable pin, which PIO drives; the rest: see
    `chip.build`."""
    pulse = Pulse(machine.Pin(enable))
    return chip.build(
        settings, flash, relay, read_back, inputs, led, bus, None, _RECEIVE_CHARS, pulse
    )
