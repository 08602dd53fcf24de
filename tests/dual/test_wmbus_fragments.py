"""Messages of wireless M-Bus in fragments, and counters; runs on CPython and on MicroPython."""

from dicamm.proto import wmbus
from dicamm.proto.aes_cmac import cmac
from dicamm.proto.wmbus import WmbusTelegram
from dicamm.proto.wmbus_counters import Counters
from dicamm.proto.wmbus_fragments import MAX_BEGUN, Fragments, Layer
from dicamm.proto.wmbus_link import read_link

try:
    from dicamm.drivers.aes import Aes
except ImportError:
    from clsbench.meters.aes import Aes

KEY = bytes(range(16))
# OMS specification volume 2, annex N: gas meter, security profile B (mode 7 with AFL)
PROFILE_B = bytes.fromhex(
    "43 44 9315 78563412 33 03"
    "8c 20 75"
    "90 0f 002c 25 b30a0000 21924d4f2fb66e01"
    "7a 75 00 2007 10"
    "9058475f4bc91df878b80a1b0f98b629024aac727942bfc549233c0140829b93"
)
COUNTER = 0x0AB3
HEAD = "44 9315 78563412 33 03"  # C, M, A of the same meter
RECORDS = "0c14 27048502"


def telegram(text):
    """A telegram without checksums: length field and what `text` spells."""
    body = bytes.fromhex(text)
    return bytes((len(body),)) + body


def values(found):
    records = found.records()
    assert records is not None, found.error
    out = []
    while records.next():
        out.append(records.raw())
    assert records.error is None
    return out


def fragments_of(sizes, records=RECORDS, length=None):
    """A message of mode 7 in telegrams of so many bytes, sealed by hand with AES-CMAC alone."""
    plain = b"\x2f\x2f" + bytes.fromhex(records)
    plain += b"\x2f" * (-len(plain) % 16)
    counter, identification = bytes.fromhex("b30a0000"), bytes.fromhex("78563412")
    keys = [
        cmac(Aes(), KEY, bytes((use,)) + counter + identification + b"\x07" * 7) for use in (0, 1)
    ]
    state, sealed = bytes(16), b""
    for at in range(0, len(plain), 16):
        block = bytes([one ^ two for one, two in zip(plain[at : at + 16], state)])
        state = Aes().encrypt_block(keys[0], block)
        sealed += state
    message = bytes.fromhex("7a 75 00 %x007 10" % (len(plain) // 16)) + sealed
    told = (len(message) if length is None else length).to_bytes(2, "little")
    code = cmac(Aes(), keys[1], b"\x25" + counter + told + message)[:8]
    found, at = [], 0
    for place, size in enumerate(sizes):
        last = place == len(sizes) - 1
        layer = b""
        if place == 0:
            layer += b"\x25" + counter
        if last:
            layer += code
        if place == 0:
            layer += told
        flags = (0x38 if place == 0 else 0) | (0x04 if last else 0x40)
        part = message[at:] if last else message[at : at + size]
        at += size
        head = bytes((0x90, 2 + len(layer), place + 1, flags)) + layer
        found.append(telegram(HEAD + (head + part).hex()))
    return found


def gathered(telegrams, store=None, counters=None):
    """Errors of the telegrams in turn, and the last one opened."""
    store = store or Fragments()
    reasons = []
    for data in telegrams:
        link, _ = read_link(data)
        found = WmbusTelegram(link, Aes(), KEY, counters=counters, fragments=store)
        reasons.append(found.error)
    return reasons, found


def test_a_message_in_fragments_is_read_with_its_last():
    for sizes in ((10, 99), (1, 1, 99), (6, 7, 8, 99)):
        reasons, found = gathered(fragments_of(sizes, RECORDS * 3))
        assert reasons == [wmbus.FRAGMENT] * (len(sizes) - 1) + [None]
        assert values(found) == [2850427] * 3 and found.authentic and found.counter == COUNTER


def test_a_fragment_heard_twice_counts_once_and_a_missing_one_gives_nothing():
    one, two, three = fragments_of((6, 7, 99))
    assert gathered([one, one, two, two, three])[0][-1] is None
    for wrong in ([one, three], [two, three], [three, two, one], [one, two]):
        store = Fragments()
        reasons, found = gathered(wrong, store)
        assert set(reasons) == {wmbus.FRAGMENT} and found.records() is None
    assert gathered([one, three, one, two, three])[0][-1] is None


def test_every_bit_of_a_fragment_is_authenticated():
    telegrams = fragments_of((6, 99))
    for which in (0, 1):
        for place in range(14, len(telegrams[which])):
            bad = bytearray(telegrams[which])
            bad[place] ^= 0x04
            pair = [bytes(bad), telegrams[1]] if which == 0 else [telegrams[0], bytes(bad)]
            found = gathered(pair)[1]
            assert found.error is not None and found.records() is None, (which, place)


def test_fragments_take_bounded_memory():
    store = Fragments()

    def layer():
        return Layer(0x25, bytes(4), b"", None, bytes(200))

    for number in range(1, 14):
        assert store.take(bytes(8), number, True, layer()) is None
    assert store.discarded["too long"] == 1
    for meter in range(MAX_BEGUN + 2):
        store.take(bytes((meter,)) * 8, 1, True, layer())
    assert store.discarded["given up"] == 2
    assert store.take(bytes(8), 1, False, Layer(0, None, b"\x05\x00", None, b"\x78")) is None
    assert store.discarded["length"] == 1


def test_counters_are_kept_for_each_meter_and_over_a_restart():
    counters = Counters()
    link, _ = read_link(PROFILE_B)

    def error(counters):
        return WmbusTelegram(link, Aes(), KEY, counters=counters).error

    assert [error(counters), error(counters)] == [None, wmbus.OLD_COUNTER]
    address = bytes.fromhex("9315 78563412 33 03")
    assert counters.plain() == [(address, COUNTER)] and counters.last(bytes(8)) is None
    assert error(Counters(counters.plain())) == wmbus.OLD_COUNTER
    assert error(Counters([(address, COUNTER - 1)])) is None
    counters.keep(address, 1)
    assert counters.last(address) == COUNTER


def test_a_forged_code_does_not_move_the_counter():
    counters = Counters()
    bad = bytearray(PROFILE_B)
    bad[17] ^= 0x40  # a far higher counter
    link, _ = read_link(bytes(bad))
    assert WmbusTelegram(link, Aes(), KEY, counters=counters).error == wmbus.WRONG_CODE
    assert counters.plain() == []
