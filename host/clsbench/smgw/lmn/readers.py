"""The readers that a configuration asks for: one for each serial port.

Knows the sections and the readers, no bytes.
"""

from clsbench.clock import BenchClock
from clsbench.errors import BadInput
from clsbench.net.tls import Identity, lmn_client
from clsbench.smgw.config_lmn import HDLC_TLS, MBUS, SML_PULL, WMBUS, read_key
from clsbench.smgw.config_profiles import LmnSection, meter_profile
from clsbench.smgw.journal import Journal
from clsbench.smgw.lmn.hdlc_tls import HdlcTlsReader, Pinned
from clsbench.smgw.lmn.line import LineReader, OnReading
from clsbench.smgw.lmn.mbus import BusMeter, MbusReader
from clsbench.smgw.lmn.mbus_registers import check_meter_id
from clsbench.smgw.lmn.reader import MeterAsker, MeterReader
from clsbench.smgw.lmn.wmbus import RadioMeter, WmbusReader
from clsbench.smgw.store import Store
from clsbench.smgw.worker import StoreWorker


class Counters:
    """Message counters of wireless meters, in the gateway's store."""

    def __init__(self, store: Store, worker: StoreWorker):
        self._store = store
        self._worker = worker

    async def recall(self, meter_id: str) -> int | None:
        """The highest accepted so far, None: none yet."""
        text = await self._worker.run(self._store.fact, f"wmbus-counter/{meter_id}")
        return None if text is None else int(text)

    def keep(self, meter_id: str, counter: int) -> None:
        """`counter` was accepted."""
        self._worker.post(self._store.remember, f"wmbus-counter/{meter_id}", str(counter))


def line_readers(
    sections: list[LmnSection],
    clock: BenchClock,
    journal: Journal,
    on_reading: OnReading,
    counters: Counters,
) -> list[LineReader]:
    """One for each port. Raises BadInput for a key, certificate or meter id that cannot serve."""
    ports: dict[str, list[LmnSection]] = {}
    for lmn in sections:
        ports.setdefault(lmn.port, []).append(lmn)
    common = (clock, journal, on_reading)
    return [_reader(group, common, counters) for group in ports.values()]


def _reader(
    group: list[LmnSection],
    common: tuple[BenchClock, Journal, OnReading],
    counters: Counters,
) -> LineReader:
    first = group[0]
    place = (first.port, first.line_baud)
    if first.link in (MBUS, WMBUS):
        for lmn in group:
            check_meter_id(lmn.meter_id)
    if first.link == MBUS:
        buses = [BusMeter(meter_profile(lmn), lmn.address) for lmn in group]
        return MbusReader(buses, *place, *common, first.pull_s)
    if first.link == WMBUS:
        radios = [
            RadioMeter(
                meter_profile(lmn),
                read_key(lmn.key_file, lmn.meter_id) if lmn.key_file else None,
                lmn.security,
            )
            for lmn in group
        ]
        return WmbusReader(radios, *place, *common, counters.recall, counters.keep)
    if first.link == HDLC_TLS:
        pinned = [_pinned(lmn, place, common) for lmn in group]
        return HdlcTlsReader(pinned, *place, *common, first.pull_s)
    if first.link == SML_PULL:
        return MeterAsker(meter_profile(first), *place, *common, pull_s=first.pull_s)
    return MeterReader(meter_profile(first), *place, *common)


def _pinned(
    lmn: LmnSection, place: tuple[str, int], common: tuple[BenchClock, Journal, OnReading]
) -> Pinned:
    cert, key, meter = lmn.gateway_certificate, lmn.gateway_key, lmn.certificate
    assert cert and key and meter and lmn.address, "checked with the section"
    for path in (cert, key, meter):
        if not path.is_file():
            raise BadInput(
                f"[[lmn]] {lmn.meter_id}: {path}: no such file. Make certificates for both sides "
                f"with: clsbench pki lmn --out DIR --id SMGW-ID --id {lmn.meter_id}"
            )
    asker = MeterAsker(meter_profile(lmn), *place, *common, pull_s=lmn.pull_s)
    return Pinned(asker, lmn.address, lmn_client(Identity(cert, key), meter))
