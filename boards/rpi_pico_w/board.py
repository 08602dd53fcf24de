"""Raspberry Pi Pico W: which pin is what, and where the records stand.

Knows the chip's wiring; wiring.md beside it shows what is connected. Reaches its gateway by WLAN.
"""

from dicamm.drivers import pico
from dicamm.drivers.wifi import Wifi

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
LED = "LED"  # behind the radio

# of the storage, in sectors: mount block, file system, records, settings
FS_SECTORS = 160
FIRST_SECTOR = 162
RECORD_SECTORS = 48  # 197 kB: a week of quarter hours and 100 events a day
SETTINGS_SECTORS = 2  # behind the records

_storage = pico.storage(FS_SECTORS, FIRST_SECTOR, RECORD_SECTORS, SETTINGS_SECTORS)
record_flash = _storage.record_flash
settings_flash = _storage.settings_flash
wifi = Wifi  # what joins the network


def ports(settings):
    """Builds the ports; called once."""
    return pico.build(
        settings,
        record_flash(),
        PIN_RELAY,
        PIN_READ_BACK,
        (PIN_TAMPER, PIN_POWER_FAIL),
        LED,
        (BUS_UART, PIN_BUS_TX, PIN_BUS_RX),
        PIN_BUS_ENABLE,
    )
