"""Start of the application: settings, ports, device; back to the REPL at the end."""

import asyncio

import board

from dicamm import VERSION
from dicamm.app.device import Device
from dicamm.store import settings as store_settings
from dicamm.store.journal import LayoutError


def run():
    """Runs the DICAMM until Ctrl-C or a hand-over; never leaves the relay closed."""
    print("DICAMM", VERSION, "on", board.NAME)
    try:
        settings = store_settings.load(board.SETTINGS)
        device = Device(settings, board.ports(settings), board.NAME, _gateway(settings))
    except store_settings.SettingsError as error:
        print("DICAMM does not start:", error)
        return
    except LayoutError as error:
        print("DICAMM does not start: its records are in layout", error.args[0])
        print("Export or convert them first (docs/journal.md); they are untouched.")
        return
    try:
        asyncio.run(device.run())
    except KeyboardInterrupt:
        print("DICAMM stopped, relay open")
    finally:
        device.interlock.lock("stopped")
        asyncio.new_event_loop()


def _gateway(settings):
    if not settings.gateway_host:
        return None
    if not board.HAS_TLS:
        raise store_settings.SettingsError("this board image has no TLS: leave gateway_host empty")
    from dicamm.drivers import net  # here, since an image without TLS cannot import it

    try:
        context = net.client_context(
            settings.read_file("cls.crt.der"),
            settings.read_file("cls.key.der"),
            settings.read_file("han-ca.der"),
        )
    except ValueError as error:
        raise store_settings.SettingsError(
            "a certificate or key cannot be used (P-256 in DER is needed): " + str(error)
        ) from None

    async def connect():
        return await net.connect(
            settings.gateway_host, settings.gateway_port, context, settings.gateway_name
        )

    return connect
