"""What the relay may do: closed only for an open transaction, open on every fault.

Pure but for the relay port handed in. The only caller of the port.
"""


class Interlock:
    """Owner of the relay. Starts locked: until `release` the load cannot be closed.

    relay: port with open(), close(), is_closed().
    """

    def __init__(self, relay):
        self._relay = relay
        self._locks = {"starting": True}
        relay.open()

    def lock(self, reason):
        """Opens the relay and keeps it open until the same reason is released."""
        self._locks[reason] = True
        self._relay.open()

    def release(self, reason):
        """Takes one reason away; the relay stays open until someone closes it."""
        self._locks.pop(reason, None)

    def locked(self):
        """The reasons that keep the relay open, sorted; empty when it may be closed."""
        return sorted(self._locks)

    def close(self):
        """Closes the relay and returns True, or returns False while anything locks it."""
        if self._locks:
            return False
        self._relay.close()
        return True

    def open(self):
        """Opens the relay; always allowed."""
        self._relay.open()

    def is_closed(self):
        """True while the load may draw power."""
        return self._relay.is_closed()
