"""Marked-up text by construction: every piece of foreign text is escaped where it enters.

Serves HTML as well as inline SVG. Knows no events and no colours.
"""

import html
from collections.abc import Iterable

from clsbench.report.quantity import clean


class Safe(str):
    """Text that is markup already; only `tag` and `joined` make it."""


def text(foreign: object) -> Safe:
    """Any text as content or attribute: escaped, control characters replaced."""
    lines = str(foreign).split("\n")
    return Safe("\n".join(html.escape(clean(line), quote=True) for line in lines))


def joined(parts: Iterable[str], between: str = "") -> Safe:
    """Pieces in a row; those that are not `Safe` are escaped."""
    return Safe(between.join(part if isinstance(part, Safe) else text(part) for part in parts))


def tag(name: str, *children: str, **attributes: object) -> Safe:
    """An element. A trailing underscore of an attribute's name is dropped, others become hyphens.

    Attributes None or False are left out, True is an attribute without value; floats are written
    with one digit behind the point.
    """
    written = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        written += " " + key.rstrip("_").replace("_", "-")
        if value is not True:
            written += f'="{text(_number(value) if isinstance(value, float) else value)}"'
    if name in _VOID:
        return Safe(f"<{name}{written}>")
    return Safe(f"<{name}{written}>{joined(children)}</{name}>")


_VOID = ("br", "input", "meta")


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def rect(x: float, y: float, width: float, height: float, *children: str, **more: object) -> Safe:
    """A rectangle; negative sizes become 0."""
    return tag("rect", *children, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), **more)


def line(x1: float, y1: float, x2: float, y2: float, **more: object) -> Safe:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, **more)


def label(x: float, y: float, words: str, *children: str, **more: object) -> Safe:
    """Text in a drawing; its base line starts at x, y."""
    return tag("text", words, *children, x=x, y=y, **more)


def path(points: Iterable[tuple[float, float]], **more: object) -> Safe:
    """An open line through points."""
    drawn = " ".join(
        f"{'L' if number else 'M'}{_number(x)},{_number(y)}"
        for number, (x, y) in enumerate(points)
    )
    return tag("path", d=drawn, **more)


def tip(words: str) -> Safe:
    """What a drawing's element says when pointed at; the script makes a tooltip of it."""
    return tag("title", words)
