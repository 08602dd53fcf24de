"""Start of the application: settings, ports, device; back to the REPL at the end."""

import asyncio
import gc
import sys

import board

from dicamm import VERSION
from dicamm.app.device import Device
from dicamm.drivers import watchdog
from dicamm.store.configuration import SettingsError
from dicamm.store.journal import LayoutError

# what the start alone needs: taken out of memory before the device runs
_FOR_THE_START = ("settings", "settings_store")


def run():
    """Runs the DICAMM until Ctrl-C or a hand-over; never leaves the relay closed.

    Then nothing resets the chip under the hands of whoever is at the REPL; after an error of the
    device the watchdog does. Returns whether it ended so, false when it could not start."""
    print("DICAMM", VERSION, "on", board.NAME)
    device = None
    ended = False
    try:
        device = _device()
        if device is not None:
            _forget("dicamm.store", _FOR_THE_START)
            asyncio.run(device.run())
            watchdog.stop()
    except KeyboardInterrupt:
        ended = True
        watchdog.stop()
        print("DICAMM stopped, relay open")
    finally:
        if device is not None:
            device.interlock.lock("stopped")
        asyncio.new_event_loop()
    return ended or device is not None


def _device():
    """The device, or None when it cannot start; the reason is printed."""
    from dicamm.store.settings import load

    try:
        settings = load(board.SETTINGS, board.settings_flash())
        ways = (_gateway(settings), _channel(settings))
        device = Device(settings, board.ports(settings), board.NAME, *ways)
        settings.forget_files()
        return device
    except SettingsError as error:
        print("DICAMM does not start:", error)
    except LayoutError as error:
        print("DICAMM does not start: its records are in layout", error.args[0])
        print("They are untouched. On the host: clsbench records export --raw")
    except ImportError as error:
        print("DICAMM does not start: a part was left out at flashing:", error)
    return None


def _forget(package, names):
    for name in names:
        if sys.modules.pop(package + "." + name, None) is not None:
            delattr(sys.modules[package], name)
    gc.collect()


def _channel(settings):
    if not settings.channel:
        return None
    if not board.HAS_TLS:
        raise SettingsError("this board image has no TLS: leave channel empty")
    from dicamm.app.channel_task import prepared  # here: few boards have one

    return prepared(settings)


def _gateway(settings):
    if not settings.gateway_host:
        return None
    if not board.HAS_TLS:
        raise SettingsError("this board image has no TLS: leave gateway_host empty")
    from dicamm.drivers import net  # here, since an image without TLS cannot import it

    try:
        context = net.client_context(
            settings.read_file("cls.crt.der"),
            settings.read_file("cls.key.der"),
            settings.read_file("han-ca.der"),
        )
    except ValueError as error:
        raise SettingsError(
            "a certificate or key cannot be used (P-256 in DER is needed): " + str(error)
        ) from None
    host, port, name = settings.gateway_host, settings.gateway_port, settings.gateway_name
    wifi = board.wifi(settings) if hasattr(board, "wifi") else None

    async def connect():
        if wifi is not None:
            wifi.join()
        return await net.connect(host, port, context, name)

    return connect
