"""LED port: shows whether the device is idle or switching."""


class Led:
    """pin: an output, or None on a board without a LED."""

    def __init__(self, pin=None):
        self._pin = pin

    def show(self, on):
        """Lights the LED while a transaction is open."""
        if self._pin is not None:
            self._pin.value(1 if on else 0)
