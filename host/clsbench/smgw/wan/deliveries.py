"""The outboxes of all market participants that have a profile, running as parts.

Knows which outbox there is; what one does is `delivery`'s.
"""

from collections.abc import Callable, Iterable

from clsbench.smgw.core.profiles import EmtProfile, TafProfile
from clsbench.smgw.parts import Parts
from clsbench.smgw.wan.delivery import Delivery


class Deliveries:
    """make(profile): an outbox, not yet running. Records wait in the store for one that comes."""

    def __init__(self, make: Callable[[EmtProfile], Delivery], parts: Parts):
        self._make = make
        self._parts = parts
        self._running: dict[str, tuple[EmtProfile, Delivery]] = {}

    async def adopt(self, emts: Iterable[EmtProfile]) -> None:
        """Runs an outbox for each of these participants, a new one where its profile changed."""
        wanted = {emt.name: emt for emt in emts}
        for name in [n for n, (emt, _) in self._running.items() if wanted.get(n) != emt]:
            await self._parts.drop(("delivery", name))
            del self._running[name]
        for name, emt in wanted.items():
            if name not in self._running:
                self._running[name] = (emt, self._make(emt))
                self._parts.add(("delivery", name), self._running[name][1].run())

    def record_written(self, taf: TafProfile) -> None:
        """A record of this profile waits."""
        for name in taf.emts:
            if name in self._running:
                self._running[name][1].wake()

    def device_records_stored(self, cls_id: str) -> None:
        """Records of this control box wait."""
        for emt, delivery in self._running.values():
            if cls_id in emt.cls_ids:
                delivery.wake()
