"""The CLS channel's tasks: opened through the gateway, or waited for; served until it ends.

Loaded only where the setting `channel` is not empty. Its keys, all optional: name, of the proxy
profile to be reached by SOCKS-TLS at host (default: the gateway's) and port; listen, the
"address:port" where the gateway may open the channel; allow, kinds of messages that the aEMT may
send.
"""

import asyncio
import os

from dicamm import codes
from dicamm.app.delivery_task import Backoff
from dicamm.drivers import channel_net, net
from dicamm.link import channel
from dicamm.link.socks import SocksRefused, connect_request, refused_pause_ms
from dicamm.store.configuration import SettingsError

OPEN_MS = 30000  # for a connection with everything that opens it (real time, as all here)
SILENT_MS = 70000  # an aEMT asks every 20 s; after so long it is gone
ALLOWED = (1, 3, 6, 10)  # hello, commands, acknowledgement, records, unless `allow` says other
ASKABLE = (1, 2, 3, 6, 7, 10)  # what it may name: besides these time and status; never the REPL
_KEYS = {"name": str, "host": str, "port": int, "listen": str, "allow": list}

_BROKEN = (OSError, ValueError, EOFError, asyncio.TimeoutError)


class ChannelTasks:
    """settings: read here once, since certificates and keys are forgotten afterwards."""

    def __init__(self, settings):
        self._cls_id = settings.cls_id
        self._key = settings.read_file("records.key")
        given = settings.channel
        for key in given:
            kind = _KEYS.get(key)
            if kind is None or not isinstance(given[key], kind):
                raise SettingsError("config.json: channel: key '" + key + "' unknown or wrong")
        self._allowed = given.get("allow", ALLOWED)
        for kind in self._allowed:
            if kind not in ASKABLE:
                raise SettingsError("config.json: channel: allow names what nobody may")
        self._name = given.get("name", "")
        self._at = (given.get("host") or settings.gateway_host, given.get("port", 0))
        self._listen, colon, port = given.get("listen", ":0").rpartition(":")
        self._listen_port = int(port) if colon else 0
        if not self._name and not self._listen_port:
            raise ValueError("neither name nor listen is given")
        names = ("cls.crt.der", "cls.key.der", "han-ca.der")
        self._identity = [settings.read_file(name) for name in names]
        self._gateway = settings.gateway_name
        self._context = None
        if self._name:  # where it is not needed the identity is kept for the server's contexts
            self._context = net.client_context(*self._identity)
            connect_request(self._name)  # a name that no profile can have is told at start
        self._device = None
        self._last = 0
        self._works = []  # events of the channels that stand
        self._next = None  # one that was opened by the gateway and waits to be served
        self._shaking = False

    def add(self, device, service, supervisor):
        """Takes up its tasks; service: what a bench link asks of the device."""
        self._device = device
        self._service = service
        for source in (device.controller, device.quarter_hours):
            source.on_record = _both(source.on_record, self._wake)
        if self._name:
            supervisor.add("channel", self.run, OPEN_MS + 60000)
        if self._listen_port:
            supervisor.add("channel-in", self.run_incoming, OPEN_MS)

    def _wake(self):
        for work in self._works:
            work.set()

    async def run(self, alive):
        """Opens the channel through the gateway, again and again. Never ends."""
        backoff = Backoff(_jitter)
        while True:
            alive()
            try:
                opened = await asyncio.wait_for_ms(self._open(), OPEN_MS)
            except SocksRefused as refused:
                self._note(codes.CHANNEL_REFUSED, refused.code)
                await _pause(refused_pause_ms(_jitter()), alive)
                continue
            except _BROKEN as error:
                self._note(codes.CHANNEL_FAILED, repr(error)[:40])
                await backoff.pause()
                continue
            if await self._serve(opened, alive):
                backoff.reset()
            await backoff.pause()

    async def run_incoming(self, alive):
        """Waits for the gateway. Never ends."""
        server = await asyncio.start_server(self._came, self._listen, self._listen_port)
        try:
            while True:
                alive()
                opened, self._next = self._next, None
                if opened is None:
                    await asyncio.sleep_ms(50)
                else:
                    await self._serve(opened, alive, True)
        finally:
            server.close()

    async def _came(self, plain, _):
        stream = None
        if self._shaking:  # one after the other
            plain.s.close()
            return
        self._shaking = True
        try:
            stream = channel_net.served(plain.s, self._identity, self._gateway)
            opened = await asyncio.wait_for_ms(self._opened(stream), OPEN_MS // 3)
            if self._next is not None:
                await _close(self._next[0])
            self._next = opened
        except _BROKEN as error:
            self._note(codes.CHANNEL_FAILED, repr(error)[:40])
            if stream is not None:
                await _close(stream)
            plain.s.close()
        finally:
            self._shaking = False

    async def _open(self):
        host, port = self._at
        stream = await channel_net.connect_socks(
            host, port, self._context, self._gateway, self._name
        )
        return await self._opened(stream)

    async def _opened(self, stream):
        """Both opening messages: (stream, seals)."""
        own = os.urandom(channel.NONCE)
        done = False
        try:
            stream.write(channel.envelope(channel.opening(self._cls_id, own)))
            await stream.drain()
            theirs = channel.nonce_of(await channel.receive(stream))
            done = True
        finally:
            if not done:
                await _close(stream)
        return stream, channel.Seals(self._key, self._cls_id, own, theirs)

    async def _serve(self, opened, alive, replaceable=False):
        """Runs a channel until it ends; returns whether the aEMT proved itself."""
        stream, seals = opened
        served = channel.Channel(self._service, self._allowed, stream, seals)
        work = asyncio.Event()
        self._works.append(work)
        self._note(codes.CHANNEL_OPEN, replaceable)
        over = []
        reader = asyncio.create_task(_read(served, work, over))
        clock = self._device.ports.clock
        heard, since = 0, clock.real_us()
        try:
            while not over and not (replaceable and self._next is not None):
                alive()
                served.push()
                await asyncio.wait_for_ms(stream.drain(), 5000)
                if served.heard != heard:
                    heard, since = served.heard, clock.real_us()
                elif clock.real_us() - since > SILENT_MS * 1000:
                    over.append("silent")
                await _nap(work)
        except _BROKEN as error:
            over.append(repr(error)[:40])
        finally:
            reader.cancel()
            self._works.remove(work)
            await _close(stream)
        self._note(codes.CHANNEL_CLOSED, over[0] if over else "replaced")
        return served.heard > 0

    def _note(self, code, argument):
        if (code, argument) != self._last or code < codes.CHANNEL_REFUSED:  # a failure once
            self._device.log.write(code, argument)
        self._last = (code, argument)


def prepared(settings):
    """The tasks, or None where no channel is configured. Raises SettingsError."""
    try:
        return ChannelTasks(settings)
    except ValueError as error:
        raise SettingsError("CLS channel: " + str(error)) from None


def _both(first, second):
    def call():
        first()
        second()

    return call


async def _read(served, work, over):
    try:
        while True:
            await served.take_next()
            work.set()
    except _BROKEN as error:
        over.append(repr(error)[:40])
        work.set()


async def _nap(work):
    try:
        await asyncio.wait_for_ms(work.wait(), 1000)
    except asyncio.TimeoutError:
        pass
    work.clear()


async def _pause(left_ms, alive):
    while left_ms > 0:
        alive()
        await asyncio.sleep_ms(min(left_ms, 1000))
        left_ms -= 1000


async def _close(stream):
    try:
        stream.close()
        await stream.wait_closed()
    except OSError:
        pass  # the other side was quicker


def _jitter():
    return os.urandom(1)[0]
