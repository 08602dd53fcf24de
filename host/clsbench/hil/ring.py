"""A record flash full of evidence that nobody has fetched, as a device would have filled it.

Made with the journal's own code, since it is what the device is given, not what it is checked
against: a flash of thousands of records by switching would take an emulator hours.
"""

import os

from clsbench.device.record_flash import SECTOR, Image
from clsbench.hil.meter import IMPORT_SCALER
from dicamm.app.recorder import Recorder
from dicamm.metering.legal_time import LegalTime
from dicamm.metering.reading import taken
from dicamm.metering.record import BEGIN, END
from dicamm.proto import obis
from dicamm.proto.cose import Mac0
from dicamm.store.journal import Journal

_STEP_MS = 500  # between two switchings
_WH_UNIT = 30  # DLMS


def full_ring(
    sectors: int, key: bytes, device_id: str, identity: tuple[str, str], utc_ms: int
) -> bytes:
    """The content of a record flash of so many sectors, in which no transaction has room.

    key, device_id: of the seals; identity: CLS-ID and meter; utc_ms: time of the last record,
    the others come before it.
    """
    image = Image(b"\xff" * (sectors * SECTOR))
    journal = Journal(image)
    time = LegalTime()
    recorder = Recorder(journal, Mac0(key, device_id.encode()), identity, time)
    begin_ms = utc_ms - 4 * sectors * SECTOR // 100 * _STEP_MS  # no record takes 100 bytes
    time.learn(begin_ms, 10, 0, 0)
    code = obis.parse("1-0:1.8.0")
    mono_ms = raw = 0
    while journal.room():
        uuid = os.urandom(16)
        for event in (BEGIN, END):
            mono_ms += _STEP_MS
            raw += 1
            reading = taken([[code, raw, IMPORT_SCALER, _WH_UNIT]], time, mono_ms)
            recorder.taf16(event, uuid, reading, "full", begin_ms + mono_ms)
    return bytes(image.data)
