"""Flash images of every layout there has been, kept as they were written, are still understood.

Each is zlib-compressed and holds records 1 to 20 of one device; 1 to 6 acknowledged, the TAF16
records among 1 to 4 announced. An image is never made again: a new layout adds one.
"""

import hashlib
import zlib
from pathlib import Path

import pytest
from journal_kit import nor_model, workload

from clsbench.device.record_flash import content, converted
from dicamm.proto import cbor
from dicamm.proto.cose import Mac0
from dicamm.store.journal import Journal, LayoutError

IMAGES = Path(__file__).resolve().parents[1] / "faults" / "images"
LAYOUTS = (1, 2)


def image(layout):
    return zlib.decompress((IMAGES / f"layout{layout}.nor.z").read_bytes())


def flash(data):
    return nor_model.NorModel(len(data) // nor_model.SECTOR, data=data)


def check(journal):
    """Every record with seal and link, and the marks."""
    assert (journal.oldest, journal.newest) == (1, 20)
    mac0 = Mac0(workload.KEY, b"ETST0020000017")
    previous = bytes(8)
    for seq in range(1, 21):
        sealed = journal.read(seq)
        fields = cbor.decode(mac0.open(sealed))
        assert (fields[1], fields[2], fields[13]) == (seq, journal.kind(seq), previous)
        previous = hashlib.sha256(sealed).digest()[:8]
    assert journal.pending(1) == [7] and journal.unacknowledged == 14
    assert journal.unannounced() == 5


def test_there_is_an_image_of_every_layout():
    assert sorted(path.name for path in IMAGES.iterdir()) == [
        f"layout{layout}.nor.z" for layout in LAYOUTS
    ]


def test_layout_2_mounts_and_goes_on():
    journal = Journal(flash(image(2)))
    check(journal)
    journal.append(21, 16, b"the next")
    assert journal.newest == 21


def test_layout_1_is_refused_with_its_number_and_mounts_once_converted():
    with pytest.raises(LayoutError) as caught:
        Journal(flash(image(1)))
    assert caught.value.args == (1,)
    check(Journal(flash(converted(image(1)))))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_image_can_be_exported(layout):
    found = content(image(layout))
    assert found.layout == layout
    assert [seq for seq, _ in found.records] == list(range(1, 21))
