"""Flash port: raw NOR regions in sectors and pages, outside every file system.

Knows MicroPython's extended block-device protocol and nothing of records.
"""

_IOCTL_BLOCK_ERASE = 6


class FlashRegion:
    """`sectors` sectors from `first_sector` of a block device with an erase unit of 4096 bytes.

    Programming happens in whole pages of 256 bytes and only turns ones into zeros.
    """

    SECTOR = 4096
    PAGE = 256

    def __init__(self, device, sectors, first_sector=0):
        self._device = device
        self._first = first_sector
        self.sectors = sectors

    def read(self, sector, offset, buffer):
        """Fills `buffer` from byte `offset` of `sector`."""
        self._device.readblocks(self._first + sector, buffer, offset)

    def program(self, sector, offset, page):
        """Programs one page; `offset` is a multiple of PAGE, len(page) is PAGE."""
        self._device.writeblocks(self._first + sector, page, offset)

    def erase(self, sector):
        """Sets every byte of the sector to 0xFF. Takes about 45 ms on real flash."""
        self._device.ioctl(_IOCTL_BLOCK_ERASE, self._first + sector)


class Storage:
    """What lasts on a board: `records` sectors for the journal, behind them `settings` sectors.

    device: the function that gives the block device; it raises SettingsError where there is none.
    """

    def __init__(self, device, records, settings):
        self._device = device
        self._records = records
        self._settings = settings

    def record_flash(self):
        """Where the journal stands; for the ports, and for an export while the firmware is not."""
        return FlashRegion(self._device(), self._records)

    def settings_flash(self):
        """Where settings and key material stand."""
        return FlashRegion(self._device(), self._settings, self._records)
