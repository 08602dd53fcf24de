"""HDLC frames of the wired LMN and the rules of both stations; CPython and MicroPython."""

from dicamm.proto import hdlc
from dicamm.proto.hdlc import DISCARD, FINAL, RR, SNRM, UA, HdlcFrame, HdlcReceiver, encode
from dicamm.proto.hdlc_station import (
    CONNECTED,
    DATA,
    DISCONNECTED,
    NOTHING,
    TAKEN,
    HdlcPrimary,
    HdlcSecondary,
)

GATEWAY, METER = (1, 1), (2, 1)
# flag, type 3 with length 9, destination, source, SNRM with P, X-25 checksum (0x7d82), flag
SNRM_BYTES = bytes.fromhex("7e a009 0403 0203 93 827d 7e")


def information(data=b"\x7e\x7e hello", sent=0, received=0, segmented=False):
    control = received << 5 | FINAL | sent << 1
    return HdlcFrame(METER, GATEWAY, control, data, segmented)


def told(event):
    if event.kind == DISCARD:
        return event.data, event.offset, event.length
    frame = event.data
    return frame.destination, frame.source, frame.control, frame.information, frame.segmented


def drain(receiver, found):
    event = receiver.next_event()
    while event is not None:
        found.append(told(event))
        event = receiver.next_event()


def events(*chunks):
    receiver = HdlcReceiver()
    found = []
    for chunk in chunks:
        receiver.feed(chunk)
        drain(receiver, found)
    receiver.finish()
    drain(receiver, found)
    return found, receiver.discarded


def test_a_command_is_the_bytes_of_the_standard():
    assert encode(HdlcFrame(METER, GATEWAY, SNRM | FINAL)) == SNRM_BYTES
    assert events(SNRM_BYTES) == ([(METER, GATEWAY, 0x93, b"", False)], {})


def test_flags_inside_information_end_nothing():
    frame = encode(information())
    assert frame[1:3] == b"\xa0\x13" and len(frame) == 0x13 + 2
    assert events(frame)[0] == [(METER, GATEWAY, 0x10, b"\x7e\x7e hello", False)]


def test_the_segmentation_bit_is_kept():
    frame = encode(information(segmented=True))
    assert frame[1] == 0xA8 and events(frame)[0][0][4] is True


def test_longest_information_fits_and_no_more():
    frame = encode(information(bytes(range(256)) * 7 + bytes(242)))
    assert frame[1] & 7 == 7 and len(frame) == 2034 + 13
    (found,), discarded = events(frame)
    assert len(found[3]) == 2034 and discarded == {}
    try:
        encode(information(bytes(2035)))
    except ValueError:
        return
    raise AssertionError


def test_frames_in_any_chunking_and_with_shared_flags():
    stream = SNRM_BYTES + encode(information())[1:] + b"\x7e\x7e" + SNRM_BYTES
    whole = events(stream)
    assert len(whole[0]) == 3 and whole[1] == {}
    for cut in range(len(stream)):
        assert events(stream[:cut], stream[cut:]) == whole


def test_each_broken_part_has_its_reason():
    frame = encode(information())
    for place, reason in (
        (1, "format"),
        (3, "hcs"),
        (7, "hcs"),
        (8, "hcs"),
        (12, "fcs"),
        (len(frame) - 2, "fcs"),
        (len(frame) - 1, "flag"),
    ):
        bad = bytearray(frame)
        bad[place] ^= 0x20
        found, discarded = events(bytes(bad))
        assert found[0][0] == reason and discarded[reason] >= 1
        assert [entry for entry in found if len(entry) == 5] == []
    short = bytearray(SNRM_BYTES)
    short[7] ^= 1
    assert events(bytes(short))[0][0][0] == "fcs"
    short[2] = 10
    assert events(bytes(short))[0][0] == ("format", 0, 3)


def test_a_frame_behind_a_broken_one_is_found():
    bad = bytearray(encode(information()))
    bad[14] ^= 1
    found, _ = events(bytes(bad) + SNRM_BYTES)
    assert found[-1] == (METER, GATEWAY, 0x93, b"", False)


def test_noise_and_cut_frames_are_told():
    found, discarded = events(b"\x00\x01" + SNRM_BYTES)
    assert found[0] == ("noise", 0, 2) and len(found) == 2
    assert events(SNRM_BYTES[:5])[0] == [("cut off", 0, 5)]
    assert events(b"")[0] == [] and events(b"\x7e\x7e\x7e")[0] == []


def test_addresses_must_end_where_the_standard_ends_them():
    bad = bytearray(SNRM_BYTES[:-3])
    bad[4] ^= 1
    crc = hdlc.crc16_x25(bad, 1, len(bad))
    frame = bytes(bad) + bytes((crc & 255, crc >> 8, 0x7E))
    assert events(frame)[0][0][0] == "address"


def test_a_receiver_with_little_memory_refuses_long_frames_only():
    receiver = HdlcReceiver(32)
    receiver.feed(encode(information(bytes(33))) + encode(information(bytes(32))))
    receiver.finish()
    found = []
    drain(receiver, found)
    assert found[0][0] == "too long" and found[-1][3] == bytes(32)


def test_control_fields_are_taken_apart():
    frame = HdlcFrame(METER, GATEWAY, 0xB4)
    assert (frame.kind, frame.sent, frame.received, frame.final) == (0, 2, 5, True)
    assert HdlcFrame(METER, GATEWAY, 0x73).kind == UA
    assert HdlcFrame(METER, GATEWAY, 0xF1).kind == RR
    assert HdlcFrame(METER, GATEWAY, 0xF1).received == 7


def served(secondary, frame):
    """(news, answer) of a secondary that has nothing more to say."""
    news = secondary.receive(frame)
    return news, secondary.answer()


def connected():
    primary, secondary = HdlcPrimary(GATEWAY, METER), HdlcSecondary(METER, GATEWAY)
    news, answer = served(secondary, primary.connect())
    assert news == CONNECTED and primary.receive(answer) == CONNECTED
    return primary, secondary


def test_connection_and_its_end():
    primary, secondary = connected()
    news, answer = served(secondary, primary.disconnect())
    assert news == DISCONNECTED and primary.receive(answer) == DISCONNECTED
    assert not primary.connected and not secondary.connected
    news, answer = served(secondary, HdlcFrame(METER, GATEWAY, RR | FINAL))
    assert news == NOTHING and answer.kind == hdlc.DM
    assert secondary.discarded == {"state": 1}


def test_information_goes_both_ways_past_the_modulus():
    primary, secondary = connected()
    for number in range(20):
        assert secondary.receive(primary.send(b"question %d" % number)) == DATA
        assert secondary.information == b"question %d" % number and not secondary.waiting
        secondary.give(b"answer %d" % number)
        assert primary.receive(secondary.answer()) == DATA
        assert primary.information == b"answer %d" % number and not primary.waiting
    news, answer = served(secondary, primary.poll())
    assert news == TAKEN and answer.kind == RR
    assert primary.receive(answer) == NOTHING
    assert primary.discarded == {} and secondary.discarded == {}


def test_a_lost_question_is_asked_again():
    primary, secondary = connected()
    lost = primary.send(b"question")
    again = primary.timeout()
    assert again is lost
    news, answer = served(secondary, again)
    assert news == DATA and primary.receive(answer) == TAKEN


def test_a_lost_answer_does_not_double_the_question():
    primary, secondary = connected()
    secondary.give(b"answer")
    news, _ = served(secondary, primary.send(b"question"))
    assert news == DATA
    news, answer = served(secondary, primary.timeout())
    assert news == NOTHING and secondary.discarded == {"sequence": 1}
    assert primary.receive(answer) == DATA and not primary.waiting
    news, answer = served(secondary, primary.poll())
    assert news == TAKEN


def test_an_answer_that_comes_twice_counts_once():
    primary, secondary = connected()
    secondary.give(b"answer")
    _, answer = served(secondary, primary.poll())
    assert primary.receive(answer) == DATA
    assert primary.receive(answer) == NOTHING
    assert primary.discarded == {"sequence": 1}


def test_silence_ends_the_connection_after_the_last_try():
    primary, _ = connected()
    primary.send(b"question")
    assert primary.timeout() is not None and primary.timeout() is not None
    assert primary.timeout() is None and not primary.connected


def test_frames_of_others_are_left_alone():
    primary, secondary = connected()
    assert served(secondary, HdlcFrame((3, 1), GATEWAY, RR | FINAL)) == (NOTHING, None)
    assert primary.receive(HdlcFrame(GATEWAY, (3, 1), UA | FINAL)) == NOTHING
    assert secondary.discarded == {"address": 1} and primary.discarded == {"address": 1}


def test_what_is_out_of_place_is_counted():
    primary, secondary = connected()
    assert primary.receive(HdlcFrame(GATEWAY, METER, hdlc.UI)) == NOTHING
    news, answer = served(secondary, HdlcFrame(METER, GATEWAY, 0xAF | FINAL))
    assert news == NOTHING and answer.kind == hdlc.FRMR
    assert primary.receive(answer) == DISCONNECTED
    assert primary.receive(HdlcFrame(GATEWAY, METER, RR)) == NOTHING
    assert primary.discarded == {"kind": 1, "state": 1} and secondary.discarded == {"kind": 1}


def test_misuse_is_refused():
    primary, secondary = HdlcPrimary(GATEWAY, METER), HdlcSecondary(METER, GATEWAY)
    for wrong in (
        lambda: primary.send(b"x"),
        lambda: primary.poll(),
        lambda: secondary.give(b""),
        lambda: secondary.give(bytes(2035)),
        lambda: HdlcReceiver(0),
        lambda: encode(HdlcFrame((128, 0), GATEWAY, RR)),
    ):
        try:
            wrong()
        except ValueError:
            continue
        raise AssertionError
    secondary.give(b"x")
    try:
        secondary.give(b"y")
    except ValueError:
        return
    raise AssertionError
