"""The wake-up message of the administrator: made, taken apart, judged.

32 bytes say who is meant and when it was made; a signature over them follows. Version 1 asks the
gateway to open its management channel. Pure: no clock, no socket, no store.
Source: BSI Detailspezifikationen 2.0 chapter 2. Its text has the time stamp with the low byte
first, its example with the high byte first: made is what the text says (or the other, when asked
for), and of a received one the order counts in which it lies in the time window.
"""

from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from clsbench.errors import BadInput
from clsbench.meters.device_id import FORM_2012, device_id, server_id

HEADER = b"WU"
VERSION = 1
PADDING = b"\x0b" * 12
PLAIN = 1  # signature format: R followed by S
ECDSA_PLAIN_SHA256 = bytes.fromhex("04007f00070101040103")  # 0.4.0.127.0.7.1.1.4.1.3
HEAD_BYTES = 32  # what the signature covers
MAX_BYTES = 256  # more than any curve of the guideline needs
MAX_WINDOW_S = 86_400

LOW_FIRST = "low-byte-first"
HIGH_FIRST = "high-byte-first"
_ORDERS: dict[str, Literal["little", "big"]] = {LOW_FIRST: "little", HIGH_FIRST: "big"}
_LENGTHS = {"brainpoolP256r1": 32, "secp256r1": 32}  # of R and of S, by curve
_COMMUNICATION = 0x0E
_NO_BLOCK = 0xFF  # blocks are 00 to FE; what is above 99 has no printed form

# reasons of refusal
LENGTH = "length"
NO_HEADER = "header"
NO_VERSION = "version"
NO_RECIPIENT = "recipient-form"
NO_PADDING = "padding"
NO_FORMAT = "signature-format"
NO_ALGORITHM = "signature-algorithm"
NO_SIGNATURE_LENGTH = "signature-length"
OTHER_RECIPIENT = "recipient"
CLOCK_UNSET = "clock-unset"
OUTSIDE_WINDOW = "time"
BAD_SIGNER = "signer"
BAD_SIGNATURE = "signature"
REPLAY = "replay"
REASONS = (
    LENGTH,
    NO_HEADER,
    NO_VERSION,
    NO_RECIPIENT,
    NO_PADDING,
    NO_FORMAT,
    NO_ALGORITHM,
    NO_SIGNATURE_LENGTH,
    OTHER_RECIPIENT,
    CLOCK_UNSET,
    OUTSIDE_WINDOW,
    BAD_SIGNER,
    BAD_SIGNATURE,
    REPLAY,
)


class WakeUpRefused(Exception):
    """The message is not followed. reason: one of REASONS; the text says more."""

    def __init__(self, reason: str, text: str):
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class WakeUp:
    """A message whose form is right; nothing of it is believed yet.

    head: the signed bytes; recipient: 14 printed characters, or hex text for a
    block that has no printed form; stamp: the eight bytes of the time.
    """

    head: bytes
    recipient: str
    stamp: bytes
    signature: bytes

    def utc_s(self, order: str) -> int:
        """The time stamp as Unix seconds, read in this order."""
        return int.from_bytes(self.stamp, _ORDERS[order], signed=True)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message to be followed. order: of its time stamp."""

    utc_s: int
    order: str


def recipient_id(smgw_id: str) -> bytes:
    """The nine bytes for a printed device id of a gateway, such as ETST0010000001.

    Those of its server id behind the form's byte: medium E (communication), three letters, block,
    number. Raises BadInput.
    """
    try:
        found = server_id(smgw_id)
    except BadInput as error:
        raise BadInput(f"gateway id '{smgw_id}': {error}") from error
    if found[1] != _COMMUNICATION:
        raise BadInput(
            f"gateway id '{smgw_id}': a gateway's begins with E (DIN 43863-5), such as"
            " ETST0010000001"
        )
    return found[1:]


def head(smgw_id: str, utc_s: int, order: str = LOW_FIRST) -> bytes:
    """The 32 bytes that are signed. Raises BadInput."""
    if not -(2**63) <= utc_s < 2**63 or order not in _ORDERS:
        raise BadInput(f"wake-up time {utc_s} ({order}): 64 bits and one of {', '.join(_ORDERS)}")
    stamp = utc_s.to_bytes(8, _ORDERS[order], signed=True)
    return HEADER + bytes((VERSION,)) + recipient_id(smgw_id) + stamp + PADDING


def make(
    smgw_id: str, utc_s: int, key: ec.EllipticCurvePrivateKey, order: str = LOW_FIRST
) -> bytes:
    """The whole message, signed: 108 bytes on brainpoolP256r1 and P-256. Raises BadInput."""
    size = _LENGTHS.get(key.curve.name)
    if size is None:
        raise BadInput(f"signature key is on {key.curve.name}: use one on {', '.join(_LENGTHS)}")
    signed = head(smgw_id, utc_s, order)
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return assemble(signed, r.to_bytes(size, "big") + s.to_bytes(size, "big"))


def assemble(signed: bytes, signature: bytes) -> bytes:
    """Head, algorithm and signature in their order."""
    algorithm = bytes((len(ECDSA_PLAIN_SHA256),)) + ECDSA_PLAIN_SHA256
    return signed + bytes((PLAIN,)) + algorithm + signature


def read(message: bytes) -> WakeUp:
    """Takes a message apart. Raises WakeUpRefused for any other form."""
    if not HEAD_BYTES + 2 <= len(message) <= MAX_BYTES:
        raise WakeUpRefused(LENGTH, f"{len(message)} bytes are no wake-up")
    if message[:2] != HEADER:
        raise WakeUpRefused(NO_HEADER, f"begins with {message[:2].hex()}, not with WU")
    if message[2] != VERSION:
        raise WakeUpRefused(NO_VERSION, f"version {message[2]}, only {VERSION} is known")
    recipient = message[3:12]
    if not _is_gateway(recipient):
        raise WakeUpRefused(NO_RECIPIENT, f"{recipient.hex()} is no id of a gateway")
    if message[20:HEAD_BYTES] != PADDING:
        raise WakeUpRefused(NO_PADDING, "padding is not twelve times 0b")
    if message[32] != PLAIN:
        raise WakeUpRefused(NO_FORMAT, f"signature format {message[32]}, only plain (1) is known")
    end = 34 + message[33]
    if message[34:end] != ECDSA_PLAIN_SHA256:
        raise WakeUpRefused(NO_ALGORITHM, "signature is not ecdsa-plain-SHA256")
    signature = message[end:]
    if len(signature) // 2 not in _LENGTHS.values() or len(signature) % 2:
        raise WakeUpRefused(NO_SIGNATURE_LENGTH, f"signature of {len(signature)} bytes")
    printed = device_id(bytes((FORM_2012,)) + recipient)
    return WakeUp(message[:HEAD_BYTES], printed, message[12:20], signature)


def judge(message: WakeUp, smgw_id: str, now_s: int | None, window_s: int) -> Accepted:
    """Whom it is for, and whether it was made around now; neither needs the signature.

    now_s: the gateway's clock, None while it is not set; window_s: how far the time stamp may
    be off, either way, at most MAX_WINDOW_S. Raises WakeUpRefused.
    """
    if message.recipient != smgw_id:
        raise WakeUpRefused(OTHER_RECIPIENT, f"for {message.recipient}, this is {smgw_id}")
    if now_s is None:
        raise WakeUpRefused(CLOCK_UNSET, "this gateway's clock is not set: no window to judge by")
    for order in _ORDERS:
        utc_s = message.utc_s(order)
        if abs(utc_s - now_s) <= min(window_s, MAX_WINDOW_S):
            return Accepted(utc_s, order)
    text = f"time stamp {message.stamp.hex()} is in neither byte order within {window_s} s of now"
    raise WakeUpRefused(OUTSIDE_WINDOW, text)


def check_signature(message: WakeUp, key: ec.EllipticCurvePublicKey) -> None:
    """The signature over the first 32 bytes. Raises WakeUpRefused."""
    size = _LENGTHS.get(key.curve.name)
    if size is None or len(message.signature) != 2 * size:
        raise WakeUpRefused(
            NO_SIGNATURE_LENGTH, f"signature does not fit a key on {key.curve.name}"
        )
    r, s = (
        int.from_bytes(part, "big")
        for part in (message.signature[:size], message.signature[size:])
    )
    try:
        key.verify(encode_dss_signature(r, s), message.head, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise WakeUpRefused(
            BAD_SIGNATURE, "signature does not hold: altered, or made by another key"
        ) from error


def check_fresh(accepted: Accepted, last_s: int | None) -> None:
    """The time stamp is the replay guard: it must be later than the last one followed.

    Not the bytes are compared: one signature can be turned into a second valid one. Raises
    WakeUpRefused.
    """
    if last_s is not None and accepted.utc_s <= last_s:
        raise WakeUpRefused(
            REPLAY, "time stamp is not later than that of the last wake-up followed"
        )


def _is_gateway(data: bytes) -> bool:
    letters, number = data[1:4], int.from_bytes(data[5:], "big")
    if data[0] != _COMMUNICATION or data[4] == _NO_BLOCK or number > 99_999_999:
        return False
    return all(0x41 <= letter <= 0x5A for letter in letters)
