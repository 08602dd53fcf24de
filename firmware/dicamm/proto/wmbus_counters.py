"""Message counters of wireless M-Bus meters: each must rise, else a telegram was sent again.

Knows addresses and numbers. Only telegrams whose code was checked get here, so it holds no more
meters than there are keys. Who restarts gives back what `plain` told, or is open to one replay.
"""


class Counters:
    """The highest counter of each meter; address: eight bytes as a meter sends them."""

    def __init__(self, plain=()):
        self._highest = {bytes(address): counter for address, counter in plain}

    def last(self, address):
        """The highest so far, None: none yet."""
        return self._highest.get(bytes(address))

    def keep(self, address, counter):
        """`counter` was accepted; a lower one changes nothing."""
        if counter > self._highest.get(bytes(address), -1):
            self._highest[bytes(address)] = counter

    def plain(self):
        """[(address, counter)], to be kept over a restart."""
        return list(self._highest.items())
