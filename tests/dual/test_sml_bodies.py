"""Bodies of SML messages besides the value list: what a meter answers when asked, and refusals.

ANSWER is a telegram that another implementation made of a gateway's answers (printed in the unit
test of solosTec/smf, MIT licence), with its own checksums. The others are spelled after SML 1.05.
"""

from dicamm.proto.crc import crc16_x25
from dicamm.proto.sml import SmlReceiver, read_payload
from dicamm.proto.sml_bodies import (
    ATTENTION,
    CLOSE,
    MAX_DEPTH,
    OPEN,
    PARAMETER,
    PROFILE_LIST,
    PROFILE_PACK,
    attention_text,
)

ID = "76 8104 323130343237313032383332343639302d3"
SERVER = "08 0500153b01ec46"
# fmt: off
ANSWER = bytes.fromhex(
    "1b1b1b1b01010101"
    + ID + "1 6201 6200 72 63ff01 74" + SERVER + "07 8181c7c7fe03"
    " 8101 77726f6e6720736572766572206964 01 63 5a03 00"
    + ID + "2 6202 6200 72 630501 73" + SERVER + "71 07 810060050000"
    " 73 07 810060050000 72 6201 54 070202 01 63 0644 00"
    + ID + "3 6203 6200 72 630501 73" + SERVER + "71 07 8181c78201ff"
    " 73 07 8181c78201ff 01 75"
    "  73 07 8181c78202ff 72 6201 07 8181c78253ff 01"
    "  73 07 8181c78203ff 72 6201 09 736f6c6f73546563 01"
    "  73 07 8181c78204ff 72 6201 08 0500155d8a6f2a 01"
    "  73 07 8181c78206ff 01 72"
    "   73 07 8181c7820701 01 73"
    "    73 07 8181c78208ff 72 6201 8101 43555252454e545f56455253494f4e 01"
    "    73 07 818100020000 72 6201 09 302e382e33303630 01"
    "    73 07 8181c7820eff 72 6201 427f 01"
    "   73 07 8181c7820702 01 73"
    "    73 07 8181c78208ff 72 6201 07 4b45524e454c 01"
    "    73 07 818100020000 72 6201 810a 77696e646f77732031302e78206275696c64203139303431 01"
    "    73 07 8181c7820eff 72 6201 427f 01"
    "  73 07 8181c78209ff 01 72"
    "   73 07 8181c7820a01 72 6201 8102 565345532d314b572d3232312d314630 01"
    "   73 07 8181c7820a02 72 6201 09 3434383933393039 01"
    " 63 3af5 00"
    + ID + "4 6200 6200 72 630201 71 01 63 1b6c 00"
    "0000 1b1b1b1b 1a02 fc30"
)
# fmt: on


def name(text):
    return bytes.fromhex(text)


def message(body):
    head = bytes.fromhex("76 03 a1b1 6200 6200 " + body)
    return head + b"\x63" + crc16_x25(head, 0, len(head)).to_bytes(2, "little") + b"\x00"


def only_body(text):
    frame, reasons = read_payload(message(text))
    assert reasons == [] and len(frame.bodies) == 1
    return frame.bodies[0]


def refusal(text):
    frame, reasons = read_payload(message(text))
    assert frame.bodies == () and frame.messages == 0
    return reasons


def answer():
    receiver = SmlReceiver()
    receiver.feed(ANSWER)
    frame = receiver.next_event().data
    assert receiver.discarded == {} and (frame.messages, frame.refused) == (4, 0)
    return frame


def test_attention_of_another_implementation():
    body = answer().bodies[0]
    assert (body.tag, body.server_id) == (ATTENTION, name("0500153b01ec46"))
    assert (body.number, body.text) == (name("8181c7c7fe03"), b"wrong server id")
    assert body.details is None
    assert attention_text(body.number) == "server id not available"


def test_parameter_of_another_implementation():
    body = answer().bodies[1]
    assert (body.tag, body.path) == (PARAMETER, [name("810060050000")])
    assert (body.tree.kind, body.tree.value, body.tree.children) == (1, 459266, [])


def test_tree_of_another_implementation():
    tree = answer().bodies[2].tree
    assert tree.name == name("8181c78201ff") and tree.value is None and len(tree.children) == 5
    assert tree.find(name("8181c78203ff")).value == b"solosTec"
    assert tree.find(name("8181c7820702")).find(name("8181c78208ff")).value == b"KERNEL"
    assert tree.find(name("8181c7820a02")).value == b"44893909"
    assert tree.find(name("8181c7820eff")).value is True
    assert tree.find(b"absent") is None


def test_close_of_another_implementation():
    frame = answer()
    assert (frame.closed().tag, frame.closed().signature) == (CLOSE, None)
    assert frame.opened() is None


def test_open_with_and_without_its_optional_fields():
    fields = "72 630101 76 05 49534f38 02 ab 04 aabb01 0b 0a0158595a0005f5e0ff"
    frame, _ = read_payload(message(fields + "72 6201 65 0700000a 62 01"))
    body = frame.opened()
    assert (body.tag, body.codepage, body.client_id) == (OPEN, b"ISO8", b"\xab")
    assert (body.request_id, body.server_id) == (name("aabb01"), name("0a0158595a0005f5e0ff"))
    assert (body.reference_time, body.version) == ((1, 0x0700000A), 1)
    bare = read_payload(message("72 630101 76 01 01 04 aabb01 0b 0a0158595a0005f5e0ff 01 01"))
    assert (bare[0].opened().codepage, bare[0].opened().reference_time) == (None, None)
    assert read_payload(message("72 630101 71 01"))[0].opened() is None  # not six fields


def test_load_profile_as_a_list():
    body = only_body(
        "72 630401 79 0b 0a0158595a0005f5e0ff 72 6202 65 671b6300 63 0384 71 07 8181c78611ff"
        "72 6202 65 671b5f7c 62 80 72"
        "  75 07 0100010800ff 62 1e 52 ff 56 00075bcd15 01"
        "  75 07 0100020800ff 62 1e 52 ff 52 07 03 abcd"
        "01 01"
    )
    assert (body.tag, body.period_s, body.path) == (PROFILE_LIST, 900, [name("8181c78611ff")])
    assert (body.time, body.entry_time, body.status) == ((2, 0x671B6300), (2, 0x671B5F7C), 128)
    import_, export = body.entries
    assert (import_.obis, import_.raw, import_.scaler, import_.unit) == (
        name("0100010800ff"),
        123456789,
        -1,
        30,
    )
    assert (export.raw, export.signature, import_.signature) == (7, name("abcd"), None)


PACK = (
    "72 630301 78 0b 0a0158595a0005f5e0ff 72 6201 65 00001000 63 0384 71 07 8181c78611ff"
    "72 73 07 0100010800ff 62 1e 52 ff  73 07 0100020800ff 62 1e 52 00"
    "72 74 72 6202 65 671b5f7c 62 80 72 72 56 00075bcd15 01 72 52 07 01 01"
    "   74 72 6202 65 671b6300 01    72 72 56 00075bcd20 01 72 01 01 03 abcd"
    "01 03 1234"
)


def test_load_profile_as_a_pack():
    body = only_body(PACK)
    assert (body.tag, body.period_s, body.signature) == (PROFILE_PACK, 900, name("1234"))
    assert [header.obis for header in body.headers] == [name("0100010800ff"), name("0100020800ff")]
    (time, status, values, signature), late = body.rows
    assert (time, status, signature) == ((2, 0x671B5F7C), 128, None)
    assert [(v.obis, v.raw, v.scaler, v.unit) for v in values] == [
        (name("0100010800ff"), 123456789, -1, 30),
        (name("0100020800ff"), 7, 0, 30),
    ]
    assert (late[0], late[1], late[3]) == ((2, 0x671B6300), None, name("abcd"))
    assert [value.raw for value in late[2]] == [123456800, None]


def test_row_that_does_not_fit_its_headers_is_refused():
    assert refusal(PACK.replace("72 72 56 00075bcd20 01 72 01 01", "71 72 56 00075bcd20 01")) == [
        "content"
    ]


def parameter(value):
    text = "72 630501 73 0b 0a0158595a0005f5e0ff 71 07 0100010800ff 73 07 0100010800ff "
    return only_body(text + value + " 01").tree


def test_every_kind_of_parameter_value():
    assert parameter("72 6201 04 454d48").value == b"EMH"
    entry = parameter("72 6202 75 07 0100010800ff 62 1e 52 ff 53 0102 01").value
    assert (entry.obis, entry.raw, entry.scaler) == (name("0100010800ff"), 258, -1)
    fields = parameter("72 6203 f1 07 04 aabbcc 72 6201 65 00000010 62 80" + " 62 1e" * 20).value
    assert (len(fields), fields[0], fields[2], fields[22]) == (23, name("aabbcc"), 128, 30)
    assert parameter("72 6204 72 6201 65 00000010").value == (1, 16)
    entry = parameter("72 6205 77 07 0100010800ff 62 80 01 62 1e 52 ff 53 0102 01").value
    assert (entry.status, entry.raw) == (128, 258)
    empty = parameter("01")
    assert (empty.kind, empty.value) == (0, None)


def test_unknown_kind_of_value_and_too_deep_a_tree_are_refused():
    text = "72 630501 73 0b 0a0158595a0005f5e0ff 71 07 0100010800ff "
    for kind in ("6200", "6206", "01"):
        assert refusal(text + "73 07 0100010800ff 72 " + kind + " 62 01 01") == ["content"]
    node = "73 07 0100010800ff 01 "
    assert only_body(text + (node + "71 ") * (MAX_DEPTH - 1) + node + "01").tree.children
    assert refusal(text + (node + "71 ") * MAX_DEPTH + node + "01") == ["content"]


def test_attention_with_details_and_without_text():
    body = only_body(
        "72 63ff01 74 0b 0a0158595a0005f5e0ff 07 8181c7c7fd00 01"
        " 73 07 0100010800ff 72 6201 62 07 01"
    )
    assert (body.text, body.details.value) == (None, 7)
    assert attention_text(body.number) == "done"
    assert attention_text(name("8181c7c7e001")) is None and attention_text(None) is None
    assert attention_text(b"\x81\x81\xc7\xc7") is None


def test_other_kinds_of_message_are_told_by_their_number():
    assert only_body("72 630700 75 01 01 01 01 01").tag == 0x0700
    assert only_body("72 65 00001234 01").tag == 0x1234


def test_frame_tells_list_name_signature_and_time_of_the_gateway():
    frame, reasons = read_payload(
        message(
            "72 630701 77 01 0b 0a0158595a0005f5e0ff 07 0100620affff 72 6201 65 00001000"
            "71 77 07 0100010800ff 01 01 62 1e 52 ff 62 07 03 c0de 04 aabbcc 72 6202 65 671b6300"
        )
    )
    assert reasons == [] and frame.entries[0].signature == name("c0de")
    assert (frame.list_name, frame.signature) == (name("0100620affff"), name("aabbcc"))
    assert frame.gateway_time == (2, 0x671B6300)
