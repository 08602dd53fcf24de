"""Alters protected messages at random places and counts what still opens: nothing may.

    python tools/cms_mutations.py [--count N] [--seed N]

Messages: SignedData alone, detached, and over AuthEnvelopedData of both suites, with and without
compression; also the bare envelope, which no signature covers. Alterations: bits flipped, bytes
replaced, cut off, added, taken out, doubled, stretches exchanged, two messages spliced. Exit code
1 when one opened or failed with anything but the typed error.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from clsbench.pki.layout import DEFAULT_EMT, Pki
from clsbench.smgw.core import cms
from clsbench.smgw.core.cms import CmsError
from clsbench.smgw.core.cms_compressed import decompress
from clsbench.smgw.core.cms_der import DerError
from clsbench.smgw.core.cms_envelope import COMPRESSED, SUITES, EnvelopeError, unseal
from clsbench.smgw.core.cms_keys import OwnKey, Recipient
from clsbench.smgw.core.cms_signers import Verifier
from clsbench.smgw.core.content import Signer, make, open_content

REFUSALS = (CmsError, EnvelopeError, DerError)
CONTENTS = (b'{"seq":7,"smgw_id":"ETST0010000001"}', bytes(range(256)) * 3)
Open = Callable[[bytes], object]
Alter = Callable[[random.Random, bytes, bytes], bytes]


@dataclass(frozen=True)
class Kind:
    """Messages of one form, and how they are opened."""

    name: str
    messages: tuple[bytes, bytes]
    open: Open


@dataclass
class Figures:
    """What came of it. opened, crashed: descriptions of what must not be."""

    refused: Counter[str] = field(default_factory=Counter)
    opened: list[str] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)


def kinds(pki: Pki) -> list[Kind]:
    """One of every form, two contents of each."""
    now, trust = datetime.now(UTC), pki.wan_trust.read_bytes()
    sig, enc = pki.smgw.sig, pki.emt(DEFAULT_EMT).enc
    signer = Signer(sig.cert.read_bytes(), sig.key.read_bytes())
    pair = (signer.cert_pem, signer.key_pem, now)
    own = OwnKey.of(enc.cert.read_bytes(), enc.key.read_bytes())
    recipient = Recipient.of(enc.cert.read_bytes())
    first, second = CONTENTS
    plain = (cms.sign(first, *pair), cms.sign(second, *pair))
    detached = tuple(cms.sign(first, *pair, detached=True) for _ in CONTENTS)
    known = Verifier(trust, "SMGW")
    known.verify(plain[0])
    found = [
        Kind("signed", plain, lambda der: cms.verify(der, trust, "SMGW")),
        Kind("signed, signer known", plain, known.verify),
        Kind(
            "detached",
            (detached[0], detached[1]),
            lambda der: cms.verify(der, trust, "SMGW", detached=first),
        ),
    ]
    for suite in SUITES:
        for packed in (True, False):
            name = f"{suite}{' zlib' if packed else ''}"
            a, b = (make(each, signer, recipient, now, suite, packed) for each in CONTENTS)
            found.append(Kind(name, (a, b), lambda der: open_content(der, trust, [own], "SMGW")))
            bare = tuple(
                cms.verify(each, trust, None, "1.2.840.113549.1.9.16.1.23").content
                for each in (a, b)
            )
            found.append(Kind(f"{name}, bare", (bare[0], bare[1]), lambda der: _bare(der, own)))
    return found


def _bare(der: bytes, own: OwnKey) -> bytes:
    content, kind, _ = unseal(der, [own])
    return decompress(content) if kind == COMPRESSED else content


def run(pki: Pki, count: int, seed: int) -> Figures:
    """`count` altered messages, spread evenly over forms and alterations."""
    chooser, figures, forms = random.Random(seed), Figures(), kinds(pki)
    names = list(ALTERATIONS)
    for form in forms:
        for message in form.messages:
            form.open(message)  # unaltered it must open
    number = 0
    while number < count:
        form = forms[number % len(forms)]
        name = names[number // len(forms) % len(names)]
        message, other = chooser.sample(form.messages, 2)
        altered = ALTERATIONS[name](chooser, message, other)
        if altered in form.messages:
            continue  # chance gave back what was there
        _try(figures, form, name, altered)
        number += 1
    return figures


def _try(figures: Figures, form: Kind, name: str, altered: bytes) -> None:
    told = f"{form.name}: {name}"
    try:
        form.open(altered)
    except REFUSALS:
        figures.refused[told] += 1
    except Exception as error:  # noqa: BLE001  any other error is what is looked for
        figures.crashed.append(f"{told}: {error!r}: {altered.hex()}")
    else:
        figures.opened.append(f"{told}: {altered.hex()}")


def _flip(chooser: random.Random, message: bytes, _: bytes) -> bytes:
    out = bytearray(message)
    for _time in range(chooser.choice((1, 1, 1, 2, 8))):
        out[chooser.randrange(len(out))] ^= 1 << chooser.randrange(8)
    return bytes(out)


def _replace(chooser: random.Random, message: bytes, _: bytes) -> bytes:
    at, length = _stretch(chooser, message)
    return message[:at] + chooser.randbytes(length) + message[at + length :]


def _cut(chooser: random.Random, message: bytes, _: bytes) -> bytes:
    return message[: chooser.randrange(len(message))]


def _add(chooser: random.Random, message: bytes, _: bytes) -> bytes:
    at = chooser.choice((0, len(message), chooser.randrange(len(message))))
    return message[:at] + chooser.randbytes(chooser.randint(1, 16)) + message[at:]


def _take_out(chooser: random.Random, message: bytes, _: bytes) -> bytes:
    at, length = _stretch(chooser, message)
    return message[:at] + message[at + length :]


def _double(chooser: random.Random, message: bytes, _: bytes) -> bytes:
    at, length = _stretch(chooser, message)
    return message[: at + length] + message[at:]


def _exchange(chooser: random.Random, message: bytes, _: bytes) -> bytes:
    a, b, c, d = sorted(chooser.sample(range(len(message) + 1), 4))
    return message[:a] + message[c:d] + message[b:c] + message[a:b] + message[d:]


def _splice(chooser: random.Random, message: bytes, other: bytes) -> bytes:
    at = chooser.randrange(1, min(len(message), len(other)))
    return message[:at] + other[at:]


def _stretch(chooser: random.Random, message: bytes) -> tuple[int, int]:
    at = chooser.randrange(len(message))
    return at, chooser.randint(1, min(40, len(message) - at))


ALTERATIONS: dict[str, Alter] = {
    "bits flipped": _flip,
    "bytes replaced": _replace,
    "cut off": _cut,
    "bytes added": _add,
    "bytes taken out": _take_out,
    "bytes doubled": _double,
    "stretches exchanged": _exchange,
    "spliced with another": _splice,
}


def main() -> int:
    """Runs it in a fresh PKI and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="clsbench-cms-") as folder:
        figures = run(Pki.init(Path(folder) / "pki"), options.count, options.seed)
    for told, number in sorted(figures.refused.items()):
        print(f"{number:6} refused  {told}")
    for told in figures.opened:
        print(f"OPENED   {told}")
    for told in figures.crashed:
        print(f"CRASHED  {told}")
    print(
        f"seed {options.seed}: {options.count} altered messages, "
        f"{sum(figures.refused.values())} refused, {len(figures.opened)} opened, "
        f"{len(figures.crashed)} crashed, {time.monotonic() - started:.0f} s"
    )
    return 1 if figures.opened or figures.crashed else 0


if __name__ == "__main__":
    sys.exit(main())
