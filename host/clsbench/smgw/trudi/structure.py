"""Structure of a TRuDI file without its schema: names, order, number, types, lengths.

What `names` lists is checked wherever it stands; elements it does not list are refused, but for
`extension`, which every object may have. The schema itself (not ours to ship) says more; see
`schema`.
Source: AR 2418-6 version 1.4.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime

from clsbench.smgw.trudi.document import short
from clsbench.smgw.trudi.findings import Rule, rule
from clsbench.smgw.trudi.names import CHILDREN, HEX, MAX_LENGTH, SIGNED, TIMES, UNSIGNED

_HEX = re.compile(r"([0-9A-Fa-f]{2})*")


def structure_rules(root: ET.Element) -> list[Rule]:
    """The five structural rules of a file."""
    return [
        rule("S1", "the root is UsagePoints of AR 2418-6", _root(root)),
        rule("S2", "every element is known where it stands", _unknown(root)),
        rule("S3", "elements stand in their order", _order(root)),
        rule("S4", "no element is missing or too often there", _number(root)),
        rule("S5", "every value has its type and length", _types(root)),
    ]


def _root(root: ET.Element) -> Iterator[str]:
    if short(root.tag) != "UsagePoints":
        yield f"root is {short(root.tag)}"


def _walk(root: ET.Element) -> Iterator[tuple[ET.Element, str]]:
    stack = [(root, short(root.tag))]
    while stack:
        element, path = stack.pop()
        yield element, path
        for child in reversed(element):
            name = short(child.tag)
            if name in _known(short(element.tag)):
                stack.append((child, f"{path}/{name}"))


def _known(name: str) -> dict[str, int]:
    return {child: place for place, (child, _, _) in enumerate(CHILDREN.get(name, ()))}


def _unknown(root: ET.Element) -> Iterator[str]:
    for element, path in _walk(root):
        name = short(element.tag)
        if name in CHILDREN:
            for child in element:
                if short(child.tag) not in (*_known(name), "espi:extension"):
                    yield f"{path}: {short(child.tag)} does not belong here"


def _order(root: ET.Element) -> Iterator[str]:
    for element, path in _walk(root):
        known, last = _known(short(element.tag)), -1
        for child in element:
            place = known.get(short(child.tag), last)
            if place < last:
                yield f"{path}: {short(child.tag)} stands too late"
            last = max(place, last)


def _number(root: ET.Element) -> Iterator[str]:
    for element, path in _walk(root):
        found = [short(child.tag) for child in element]
        for name, least, most in CHILDREN.get(short(element.tag), ()):
            if found.count(name) < least:
                yield f"{path}: {name} is missing"
            if most is not None and found.count(name) > most:
                yield f"{path}: {name} stands {found.count(name)} times"


def _types(root: ET.Element) -> Iterator[str]:
    for element, path in _walk(root):
        name, text = short(element.tag), (element.text or "").strip()
        if len(element) == 0 and (fault := _fault(name, text)):
            yield f"{path}: '{text[:40]}' {fault}"


def _fault(name: str, text: str) -> str:
    if len(text) > MAX_LENGTH.get(name, len(text)):
        return f"is longer than {MAX_LENGTH[name]} characters"
    if name in UNSIGNED and not (text.isdecimal() and int(text) < 1 << UNSIGNED[name]):
        return f"is no unsigned number of {UNSIGNED[name]} bits"
    if name in SIGNED and not _signed(text, SIGNED[name]):
        return f"is no whole number of {SIGNED[name]} bits"
    if name in TIMES and not _time(text):
        return "is no time with its zone"
    if name in HEX and not _HEX.fullmatch(text):
        return "is not hexadecimal"
    return ""


def _signed(text: str, bits: int) -> bool:
    digits = text.removeprefix("-")
    return digits.isdecimal() and -(1 << bits - 1) <= int(text) < 1 << bits - 1


def _time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None and "T" in text
    except ValueError:
        return False
