"""Keeps legal time: asks the gateway, and tells the log when the state of the clock changes."""

import asyncio

from dicamm import codes

TIME_EVERY_MS = 60000  # board time; TR-03109-1 detail specification: at most once a minute
_NAP_MS = 200  # real time


class TimeKeeper:
    """legal_time: metering.legal_time.LegalTime."""

    def __init__(self, legal_time, clock, log):
        self._time = legal_time
        self._clock = clock
        self._log = log
        self._next_ms = 0
        self._state = 0  # unset
        self._last_code = 0
        self._client = None
        self._backoff = None

    def ask(self, client, backoff):
        """From now on asks a gateway: link.han.HanClient, delivery_task.Backoff."""
        self._client = client
        self._backoff = backoff

    async def run(self, alive):
        """Never ends; `alive()` is called once a round."""
        while True:
            alive()
            if self._client is not None and self._clock.mono_ms() >= self._next_ms:
                await self._fetch(self._client, self._backoff)
            self.look()
            await asyncio.sleep_ms(_NAP_MS)

    def learn(self, *answer):
        """Gives an answer to `LegalTime.learn`; the log hears of a step."""
        steps = self._time.steps
        correction = self._time.learn(*answer)
        if self._time.steps != steps:
            self._log.write(codes.TIME_STEPPED, correction)
        self.look()

    def look(self):
        """Tells the log of a state that is new."""
        now_ms = self._clock.mono_ms()
        state = self._time.state(now_ms)
        if state != self._state:
            self._state = state
            self._log.write(codes.TIME_STATE, state, self._time.bound_ms(now_ms))

    async def _fetch(self, client, backoff):
        from dicamm.link.han import HanError  # here: a board without gateway does not carry it

        sent_ms = self._clock.mono_ms()
        try:
            utc_ms, bound_ms = await client.time()
        except HanError as error:
            if error.code != self._last_code:  # once, not with every attempt
                self._last_code = error.code
                self._log.write(error.code, error.status)
            await backoff.pause()
            return
        received_ms = self._clock.mono_ms()
        self._last_code = 0
        backoff.reset()
        self.learn(utc_ms, bound_ms, sent_ms, received_ms)
        if self._state:  # not unset any more: a late answer is asked for again at once
            self._next_ms = received_ms + TIME_EVERY_MS
