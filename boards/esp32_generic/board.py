"""ESP32 module: which pin is what, and where the records stand.

Knows the chip's wiring; wiring.md beside it shows what is connected. Reaches its gateway by WLAN.
"""

from dicamm.drivers import esp
from dicamm.drivers.wifi import Wifi

NAME = "esp32_generic"
SETTINGS = "/"
HAS_TLS = True

BUS_UART = 1
PIN_BUS_TX = 17
PIN_BUS_RX = 16
PIN_RELAY = 25  # high closes the contact; a pull-down holds it low while the chip is in reset
PIN_TAMPER = 32  # high: the housing is open
PIN_POWER_FAIL = 33  # high: the supply is about to fail
PIN_BUS_ENABLE = 4  # DE and /RE of the transceiver
PIN_READ_BACK = None  # an input that is high while the contact is closed, where there is one
LMN_UART = 2
PIN_LMN_TX = 18
PIN_LMN_RX = 19
PIN_LED = 2

PARTITION = "dicamm"  # made by `clsbench flash --image`
RECORD_SECTORS = 254  # 1 MB: six weeks of quarter hours and 100 events a day
SETTINGS_SECTORS = 2  # behind the records

_storage = esp.storage(PARTITION, RECORD_SECTORS, SETTINGS_SECTORS)
record_flash = _storage.record_flash
settings_flash = _storage.settings_flash
wifi = Wifi  # what joins the network


def ports(settings):
    """Builds the ports; called once."""
    return esp.build(
        settings,
        record_flash(),
        PIN_RELAY,
        PIN_READ_BACK,
        (PIN_TAMPER, PIN_POWER_FAIL),
        PIN_LED,
        (BUS_UART, PIN_BUS_TX, PIN_BUS_RX),
        PIN_BUS_ENABLE,
    )
