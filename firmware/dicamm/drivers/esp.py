"""Storage and ports of boards with an ESP32, from the numbers that board.py states.

Knows partitions, the timer and this chip's UART; which pin is what, and how long each part of the
storage is, is the board's.
"""

import machine
from esp32 import Partition

from dicamm.drivers import chip
from dicamm.drivers.flash import FlashRegion, Storage
from dicamm.store.configuration import SettingsError

_RECEIVE_CHARS = 12  # the driver hands bytes on after a pause of 10, or when 120 have come


def storage(label, records, settings):
    """Records and settings in the partition of this label; refuses when it is missing or short."""

    def device():
        found = Partition.find(Partition.TYPE_DATA, label=label)
        if not found or found[0].info()[3] < (records + settings) * FlashRegion.SECTOR:
            raise SettingsError("no partition for records: run clsbench flash --image FILE")
        return found[0]

    return Storage(device, records, settings)


def build(settings, flash, relay, read_back, inputs, led, bus, enable):
    """The ports; called once. enable: the driver-enable pin, which a timer releases; the rest:
    see `chip.build`."""
    timer = machine.Timer(0)
    return chip.build(
        settings, flash, relay, read_back, inputs, led, bus, enable, _RECEIVE_CHARS, timer
    )
