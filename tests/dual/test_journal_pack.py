"""What the journal leaves out of a record comes back byte for byte. Runs on both interpreters."""

from dicamm.metering import record
from dicamm.metering.reading import Reading
from dicamm.proto.cose import Mac0
from dicamm.store.journal_pack import LINK, TAG, Statement, learn

MAC0 = Mac0(bytes(range(32)), b"ETST0020000017")
IDENTITY = ("ETST0020000017", "1EAS0012345678")
DUE_MS = 1795000000000
LAST = bytes(range(8))


class Chance:
    def __init__(self, seed):
        self._state = seed

    def below(self, limit):
        self._state = (self._state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._state >> 8) % limit


def sealed(seq, kind, raws=(8391648,), text="grid support", bound_ms=42, captured_ms=DUE_MS + 217):
    values = []
    for index, raw in enumerate(raws):
        values.append((bytes((1, 0, 1 + index, 8, 0, 255)), raw, -2, 30))
    state = 0 if captured_ms is None else 1
    reading = Reading(values, captured_ms, 0, 0, state, bound_ms)
    if kind == 7:
        payload = record.encode(seq, 7, IDENTITY, reading, LAST, None, None, None, DUE_MS)
    else:
        uuid = bytes(range(100, 116))
        payload = record.encode(seq, 16, IDENTITY, reading, LAST, uuid, 1, text, DUE_MS + 5)
    return MAC0.seal(payload)


def packed(statement, record_bytes, seq, kind):
    body = statement.pack(record_bytes, seq, kind)
    assert body is not None
    assert statement.unpack(body, seq, kind, None) == record_bytes
    return body


def test_one_statement_serves_both_kinds():
    from_7 = learn(sealed(1, 7))
    from_16 = learn(sealed(2, 16))
    assert from_7 == from_16 != b""
    statement = Statement(from_7)
    assert len(packed(statement, sealed(70000, 7), 70000, 7)) == 57
    assert len(packed(statement, sealed(70000, 16), 70000, 16)) == 90


def test_every_length_of_number_text_and_bound_comes_back():
    statement = Statement(learn(sealed(1, 7)))
    for seq in (1, 23, 24, 255, 256, 65535, 65536, 0x7FFFFFFF, 0xFFFFFFFF):
        for bound_ms in (None, 0, 23, 24, 255, 256, 65535, 65536):
            packed(statement, sealed(seq, 7, bound_ms=bound_ms), seq, 7)
    for size in range(65):
        packed(statement, sealed(9, 16, text="x" * size), 9, 16)


def test_register_may_run_over_every_boundary():
    statement = Statement(learn(sealed(1, 7, (0xFFFE,))))
    for raw in (0, 23, 24, 255, 256, 0xFFFF, 0x10000, 0xFFFFFFFF, 1 << 32, 1 << 63, -1, -70000):
        packed(statement, sealed(2, 7, (raw,)), 2, 7)


def test_small_steps_of_a_register_cost_three_bytes():
    statement = Statement(learn(sealed(1, 7, (8391648,))))
    near = packed(statement, sealed(2, 7, (8391649,)), 2, 7)
    far = packed(statement, sealed(2, 7, (8391648 + 0x10000,)), 2, 7)
    assert len(far) == len(near) + 2


def test_record_without_time_or_without_event_time_packs():
    statement = Statement(learn(sealed(1, 7)))
    packed(statement, sealed(2, 16, captured_ms=None, bound_ms=None), 2, 16)
    reading = Reading([(bytes((1, 0, 1, 8, 0, 255)), 5, -2, 30)], None, 0, 0, 0, None)
    payload = record.encode(3, 16, IDENTITY, reading, LAST, bytes(16), 8)
    packed(statement, MAC0.seal(payload), 3, 16)


def test_keys_behind_the_link_pack_too():
    statement = Statement(learn(sealed(1, 7)))
    reading = Reading([(bytes((1, 0, 1, 8, 0, 255)), 8391650, -2, 30)], DUE_MS, 0, 0, 1, 40)
    for first_due_ms, cause in ((None, 20), (None, 255), (DUE_MS - 900000, 0), (5, 1)):
        for seq, kind, uuid, event in ((2, 16, bytes(16), 8), (3, 7, None, None)):
            fields = (uuid, event, None, DUE_MS, first_due_ms, cause)
            payload = record.encode(seq, kind, IDENTITY, reading, LAST, *fields)
            body = packed(statement, MAC0.seal(payload), seq, kind)
            end = len(body) - TAG
            assert body[end - LINK : end] == LAST


def test_several_registers():
    for count in (0, 2, 4, 6):
        raws = [8391648 + 1000 * index for index in range(count)]
        statement = Statement(learn(sealed(1, 7, raws)))
        packed(statement, sealed(2, 16, raws), 2, 16)


def test_link_is_cut_out_and_put_back():
    statement = Statement(learn(sealed(1, 7)))
    record_bytes = sealed(2, 7)
    body = packed(statement, record_bytes, 2, 7)
    end = len(body) - TAG
    assert body[end - LINK : end] == LAST
    assert statement.unpack(body[: end - LINK] + body[end:], 2, 7, LAST) == record_bytes


def test_same_shape_again_and_again():
    statement = Statement(learn(sealed(1, 7)))
    chance = Chance(5)
    for seq in range(2, 400):
        kind = 16 if chance.below(2) else 7
        text = "pool west, quarter hour"[: chance.below(24)]
        raw = 8391648 + chance.below(200000)
        record_bytes = sealed(seq, kind, (raw,), text, chance.below(70000))
        packed(statement, record_bytes, seq, kind)


def test_one_bit_beside_a_known_shape_is_kept_or_not_packed():
    statement = Statement(learn(sealed(1, 7)))
    packed(statement, sealed(300, 16), 300, 16)
    known = sealed(301, 16, (8391700,))
    packed(statement, known, 301, 16)
    for at in range(len(known)):
        altered = bytearray(known)
        altered[at] ^= 1
        body = statement.pack(bytes(altered), 301, 16)
        assert body is None or statement.unpack(body, 301, 16, None) == bytes(altered)


def test_other_device_key_or_form_does_not_pack():
    statement = Statement(learn(sealed(1, 7)))
    other = Mac0(bytes(32), b"ETST0020000018").seal(MAC0.open(sealed(2, 7)))
    assert statement.pack(other, 2, 7) is None
    assert statement.pack(sealed(2, 7), 3, 7) is None  # under another number
    assert statement.pack(sealed(2, 7), 2, 16) is None  # as another kind
    assert statement.pack(sealed(2, 7, (1, 2)), 2, 7) is None  # other registers
    assert statement.pack(b"", 2, 7) is None
    assert Statement().pack(sealed(2, 7), 2, 7) is None


def test_altered_records_pack_exactly_or_not_at_all():
    statement = Statement(learn(sealed(1, 7)))
    chance = Chance(11)
    for kind in (7, 16):
        whole = sealed(2, kind)
        for _ in range(600):
            altered = bytearray(whole)
            for _ in range(1 + chance.below(3)):
                altered[chance.below(len(altered))] = chance.below(256)
            if chance.below(3) == 0:
                altered = altered[: chance.below(len(altered))]
            altered = bytes(altered)
            body = statement.pack(altered, 2, kind)
            if body is not None:
                assert statement.unpack(body, 2, kind, None) == altered


def test_nothing_is_learned_from_what_is_no_record():
    whole = sealed(1, 16)
    for size in range(len(whole)):
        assert learn(whole[:size]) == b""
    chance = Chance(3)
    for _ in range(600):
        altered = bytearray(whole)
        altered[chance.below(len(altered))] = chance.below(256)
        statement = learn(bytes(altered))
        if statement:
            seqs = [n for n in range(256) if Statement(statement).pack(bytes(altered), n, 16)]
            assert len(seqs) <= 1
