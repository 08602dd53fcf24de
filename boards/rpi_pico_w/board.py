"""Raspberry Pi Pico W: which pin is what, where the records stand, how the ports are built.

Knows the chip's wiring; wiring.md beside it shows what is connected. Reaches its gateway by WLAN.
"""

import os

import machine
import rp2

from dicamm.drivers import chip
from dicamm.drivers.flash import FlashRegion
from dicamm.drivers.pulse import Pulse
from dicamm.drivers.wifi import Wifi
from dicamm.store.configuration import SettingsError

NAME = "rpi_pico_w"
SETTINGS = "/"
HAS_TLS = True

BUS_UART = 0
PIN_BUS_TX = 0
PIN_BUS_RX = 1
PIN_RELAY = 2  # high closes the contact; a pull-down holds it low while the chip is in reset
PIN_TAMPER = 3  # high: the housing is open
PIN_POWER_FAIL = 4  # high: the supply is about to fail
PIN_BUS_ENABLE = 5  # DE and /RE of the transceiver
PIN_READ_BACK = None  # an input that is high while the contact is closed, where there is one
LMN_UART = 1
PIN_LMN_TX = 8
PIN_LMN_RX = 9

# of the storage, in sectors: mount block, file system, records, settings
FS_SECTORS = 160
FIRST_SECTOR = 162
RECORD_SECTORS = 48  # 197 kB: a week of quarter hours and 100 events a day
SETTINGS_SECTORS = 2  # behind the records

RECEIVE_CHARS = 5  # the UART tells of bytes when 4 have come, or none for so long


def settings_flash():
    """Where settings and key material stand."""
    return FlashRegion(_storage(), SETTINGS_SECTORS, RECORD_SECTORS)


def record_flash():
    """Where the journal stands; for the ports, and for an export while the firmware is not."""
    return FlashRegion(_storage(), RECORD_SECTORS)


def _storage():
    if os.statvfs(SETTINGS)[2] > FS_SECTORS:
        raise SettingsError("the file system reaches into the records: run clsbench flash")
    sectors = RECORD_SECTORS + SETTINGS_SECTORS
    return rp2.Flash(start=FIRST_SECTOR * FlashRegion.SECTOR, len=sectors * FlashRegion.SECTOR)


def wifi(settings):
    """What joins the network."""
    return Wifi(settings.wifi_ssid, settings.wifi_key)


def ports(settings):
    """Builds the ports; called once."""
    return chip.build(
        settings,
        record_flash(),
        PIN_RELAY,
        PIN_READ_BACK,
        (PIN_TAMPER, PIN_POWER_FAIL),
        machine.Pin("LED", machine.Pin.OUT),  # behind the radio
        (BUS_UART, PIN_BUS_TX, PIN_BUS_RX),
        None,
        RECEIVE_CHARS,
        Pulse(machine.Pin(PIN_BUS_ENABLE)),
    )
