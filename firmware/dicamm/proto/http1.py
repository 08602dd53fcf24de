"""Client side of HTTP/1.1 (RFC 9110, 9112), as little of it as a gateway needs.

Bytes in, answers out: knows no sockets, no TLS, no JSON. One answer at a time; the connection
stays open between answers unless the server says otherwise. Bodies come with Content-Length or
chunked; a body that ends with the connection is refused, for it cannot be told from a cut one.
"""

MAX_HEADER = 2048
MAX_BODY = 8192

# event kinds
ANSWER = 1  # data: Answer
REFUSED = 2  # data: reason; the receiver takes nothing more, the connection must be closed

_STATUS_LINE = 0
_HEADERS = 1
_BODY = 2
_CHUNK_SIZE = 3
_CHUNK_DATA = 4
_CHUNK_END = 5
_TRAILERS = 6
_DEAD = 7


class Event:
    """kind: ANSWER or REFUSED; data: what it carries."""

    def __init__(self, kind, data):
        self.kind = kind
        self.data = data


class Answer:
    """status: integer; headers: lower-case name -> value; body: bytes; keep: stays open."""

    def __init__(self, status, headers, body, keep):
        self.status = status
        self.headers = headers
        self.body = body
        self.keep = keep


def encode_request(method, path, host, body=b"", content_type=None):
    """The bytes of a request. Raises ValueError when a part could smuggle a line break."""
    for part in (method, path, host, content_type or ""):
        if "\r" in part or "\n" in part:
            raise ValueError("line break in request: " + repr(part))
    head = method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n"
    if content_type is not None:
        head += "Content-Type: " + content_type + "\r\n"
    if body or method != "GET":
        head += "Content-Length: " + str(len(body)) + "\r\n"
    return head.encode() + b"\r\n" + body


class AnswerReceiver:
    """Turns received bytes, in any chunking, into answers.

    Total: every input yields events, never an exception. Memory is bounded by MAX_HEADER
    and MAX_BODY. What was refused is counted in `discarded` (reason -> number).
    """

    def __init__(self):
        self.discarded = {}
        self._events = []
        self.reset()

    def reset(self):
        """For a new connection: forgets everything but the counters."""
        self._buffer = bytearray()
        self._start()

    def feed(self, data):
        """Takes received bytes."""
        if self._state == _DEAD:
            return
        self._buffer += data
        while self._state != _DEAD and self._step():
            pass

    def next_event(self):
        """The oldest event, or None when more bytes are needed."""
        return self._events.pop(0) if self._events else None

    def _start(self):
        self._state = _STATUS_LINE
        self._status = 0
        self._keep = True
        self._headers = {}
        self._header_size = 0
        self._body = bytearray()
        self._left = 0

    def _step(self):
        if self._state == _BODY or self._state == _CHUNK_DATA:
            return self._take_data()
        line = self._take_line()
        if line is None:
            return False
        if self._state == _STATUS_LINE:
            self._status_line(line)
        elif self._state == _HEADERS:
            self._header_line(line)
        elif self._state == _CHUNK_SIZE:
            self._chunk_size(line)
        elif self._state == _CHUNK_END:
            if line:
                self._refuse("chunk too long")
            else:
                self._state = _CHUNK_SIZE
        elif not line:  # end of trailers
            self._finish()
        return True

    def _take_line(self):
        end = self._buffer.find(b"\r\n")
        size = end if end >= 0 else len(self._buffer)
        if self._header_size + size > MAX_HEADER:
            self._refuse("header too long")
            return None
        if end < 0:
            return None
        self._header_size += size + 2
        line = bytes(self._buffer[:end])
        self._buffer = self._buffer[end + 2 :]
        return line

    def _take_data(self):
        part = self._buffer[: self._left]
        self._body += part
        self._left -= len(part)
        self._buffer = self._buffer[len(part) :]
        if self._left:
            return False
        if self._state == _BODY:
            self._finish()
        else:
            self._state = _CHUNK_END
        return True

    def _status_line(self, line):
        parts = line.split(b" ", 2)
        if len(parts) < 2 or parts[0] not in (b"HTTP/1.1", b"HTTP/1.0"):
            self._refuse("no status line")
            return
        status = _number(parts[1], 10)
        if status is None or len(parts[1]) != 3 or status < 100:
            self._refuse("status")
            return
        self._status = status
        self._keep = parts[0] == b"HTTP/1.1"
        self._state = _HEADERS

    def _header_line(self, line):
        if not line:
            self._headers_done()
            return
        colon = line.find(b":")
        if colon <= 0 or line[:1] in (b" ", b"\t") or line[colon - 1 : colon] in (b" ", b"\t"):
            self._refuse("header line")
            return
        try:
            name = line[:colon].decode().lower()
            value = line[colon + 1 :].strip().decode()
        except UnicodeError:
            self._refuse("header line")
            return
        if name in self._headers and name in ("content-length", "transfer-encoding"):
            self._refuse("repeated " + name)
            return
        self._headers[name] = value

    def _headers_done(self):
        length = self._headers.get("content-length")
        coding = self._headers.get("transfer-encoding")
        if self._headers.get("connection", "").lower() == "close":
            self._keep = False
        if self._status < 200:
            self._start()  # an interim answer: the real one follows
        elif self._status in (204, 304):
            self._finish()
        elif coding is not None:
            if coding.lower() != "chunked" or length is not None:
                self._refuse("transfer coding")
            else:
                self._state = _CHUNK_SIZE
        elif length is None:
            self._refuse("no length")
        else:
            self._expect(_number(length.encode(), 10), _BODY)

    def _chunk_size(self, line):
        size = _number(line.split(b";", 1)[0].strip(), 16)
        if size == 0:
            self._state = _TRAILERS
        else:
            self._expect(size, _CHUNK_DATA)

    def _expect(self, size, state):
        if size is None:
            self._refuse("length")
        elif len(self._body) + size > MAX_BODY:
            self._refuse("body too long")
        else:
            self._left = size
            self._state = state

    def _finish(self):
        answer = Answer(self._status, self._headers, bytes(self._body), self._keep)
        self._events.append(Event(ANSWER, answer))
        self._start()

    def _refuse(self, reason):
        self.discarded[reason] = self.discarded.get(reason, 0) + 1
        self._events.append(Event(REFUSED, reason))
        self._buffer = bytearray()
        self._state = _DEAD


def _number(digits, base):
    """The non-negative number, or None where `digits` holds anything but digits."""
    allowed = b"0123456789abcdefABCDEF" if base == 16 else b"0123456789"
    if not digits or len(digits) > 8:
        return None
    for digit in digits:
        if digit not in allowed:
            return None
    return int(digits.decode(), base)
