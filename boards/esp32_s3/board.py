"""ESP32-S3 module: which pin is what, where the records stand, how the ports are built.

Knows the chip's wiring; wiring.md beside it shows what is connected. Reaches its gateway by WLAN.
"""

import machine
from esp32 import Partition

from dicamm.drivers import chip
from dicamm.drivers.flash import FlashRegion
from dicamm.drivers.wifi import Wifi
from dicamm.store.configuration import SettingsError

NAME = "esp32_s3"
SETTINGS = "/"
HAS_TLS = True

BUS_UART = 1
PIN_BUS_TX = 17
PIN_BUS_RX = 18
PIN_RELAY = 4  # high closes the contact; a pull-down holds it low while the chip is in reset
PIN_TAMPER = 5  # high: the housing is open
PIN_POWER_FAIL = 6  # high: the supply is about to fail
PIN_BUS_ENABLE = 16  # DE and /RE of the transceiver
PIN_READ_BACK = None  # an input that is high while the contact is closed, where there is one
LMN_UART = 2
PIN_LMN_TX = 8
PIN_LMN_RX = 9

PARTITION = "dicamm"  # made by `clsbench flash --image`
RECORD_SECTORS = 254  # 1 MB: six weeks of quarter hours and 100 events a day
SETTINGS_SECTORS = 2  # behind the records

RECEIVE_CHARS = 12  # the driver hands bytes on after a pause of 10, or when 120 have come


def settings_flash():
    """Where settings and key material stand."""
    return FlashRegion(_storage(), SETTINGS_SECTORS, RECORD_SECTORS)


def record_flash():
    """Where the journal stands; for the ports, and for an export while the firmware is not."""
    return FlashRegion(_storage(), RECORD_SECTORS)


def _storage():
    found = Partition.find(Partition.TYPE_DATA, label=PARTITION)
    size = (RECORD_SECTORS + SETTINGS_SECTORS) * FlashRegion.SECTOR
    if not found or found[0].info()[3] < size:
        raise SettingsError("no partition for records: run clsbench flash --image FILE")
    return found[0]


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
        None,
        (BUS_UART, PIN_BUS_TX, PIN_BUS_RX),
        PIN_BUS_ENABLE,
        RECEIVE_CHARS,
        machine.Timer(0),
    )
