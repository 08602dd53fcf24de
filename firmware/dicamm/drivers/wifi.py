"""WLAN port: joins the network that the settings name, and joins again when it was lost.

Knows no sockets. Returns at once: whoever needs the network tries again until it is there.
"""

import time

import network

_AGAIN_MS = 20000  # an attempt takes some seconds


class Wifi:
    """settings: its `wifi_ssid` and `wifi_key`; an empty ssid leaves the radio off."""

    def __init__(self, settings):
        self._ssid = settings.wifi_ssid
        self._key = settings.wifi_key
        self._wlan = network.WLAN(network.STA_IF) if self._ssid else None
        self._tried = None

    def join(self):
        """To be called before each connection; begins to join when there is no network."""
        wlan = self._wlan
        if wlan is None or wlan.isconnected():
            return
        now = time.ticks_ms()
        if self._tried is not None and time.ticks_diff(now, self._tried) < _AGAIN_MS:
            return
        self._tried = now
        if not wlan.active():
            wlan.active(True)
        wlan.disconnect()
        wlan.connect(self._ssid, self._key)
