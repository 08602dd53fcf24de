"""HTTP/1.1 answers as RFC 9112 frames them, whole and broken, in any chunking."""

from dicamm.proto.http1 import ANSWER, MAX_BODY, REFUSED, AnswerReceiver, encode_request

LENGTH = b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n{"seq":7}'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\nwiki\r\n5;x=y\r\npedia\r\n0\r\n\r\n"
)
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


def answers(*chunks):
    receiver = AnswerReceiver()
    for chunk in chunks:
        receiver.feed(chunk)
    found = []
    while True:
        event = receiver.next_event()
        if event is None:
            return found, receiver.discarded
        if event.kind == ANSWER:
            found.append((event.data.status, event.data.body, event.data.keep))
        else:
            found.append((REFUSED, event.data))


def test_request_is_spelled_out():
    get = b"GET /a?b=1 HTTP/1.1\r\nHost: gw.sm\r\n\r\n"
    assert encode_request("GET", "/a?b=1", "gw.sm") == get
    assert encode_request("POST", "/e", "gw.sm", b"{}", "application/json") == (
        b"POST /e HTTP/1.1\r\nHost: gw.sm\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )


def test_request_with_a_line_break_is_our_own_error():
    try:
        encode_request("GET", "/a\r\nX: y", "gw.sm")
    except ValueError as error:
        assert "line break" in str(error)
    else:
        raise AssertionError("a smuggled line must not be sent")


def test_answers_in_any_chunking():
    stream = LENGTH + EMPTY + CHUNKED
    whole = answers(stream)[0]
    assert whole == [(200, b'{"seq":7}', True), (204, b"", True), (200, b"wikipedia", True)]
    for cut in range(len(stream)):
        assert answers(stream[:cut], stream[cut:])[0] == whole
    single = [stream[i : i + 1] for i in range(len(stream))]
    assert answers(*single)[0] == whole


def test_interim_answer_is_passed_over():
    assert answers(b"HTTP/1.1 100 Continue\r\n\r\n" + EMPTY)[0] == [(204, b"", True)]


def test_connection_close_is_told():
    found, _ = answers(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert found == [(200, b"", False)]


def test_what_cannot_be_framed_is_refused_and_counted():
    cases = (
        (b"\x16\x03\x01 tls bytes\r\n", "no status line"),
        (b"HTTP/1.1 abc OK\r\n", "status"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n", "length"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
            "repeated content-length",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "transfer coding"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            "transfer coding",
        ),
        (b"HTTP/1.1 200 OK\r\nno colon here\r\n", "header line"),
        (b"HTTP/1.1 200 OK\r\n folded: x\r\n", "header line"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "chunk too long"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 4000, "header too long"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), "body too long"),
    )
    for data, reason in cases:
        found, discarded = answers(data, EMPTY)
        assert found == [(REFUSED, reason)], (data, found)
        assert discarded == {reason: 1}


def test_reset_makes_a_receiver_ready_for_a_new_connection():
    receiver = AnswerReceiver()
    receiver.feed(b"nonsense\r\n")
    assert receiver.next_event().kind == REFUSED
    receiver.reset()
    receiver.feed(EMPTY)
    assert receiver.next_event().data.status == 204
