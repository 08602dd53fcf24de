"""Fields of parsed JSON bodies from outside: each is checked for type and range, never coerced."""

import uuid as uuidlib
from typing import Any

MAX_UINT = 2**53  # the largest integer every JSON reader keeps exact


class FieldError(Exception):
    """A field is missing or wrong; the text names it."""


def object_body(body: Any) -> dict[str, Any]:
    """The body as a JSON object. Raises FieldError."""
    if not isinstance(body, dict):
        raise FieldError("body: expected a JSON object")
    return body


def text_field(body: dict[str, Any], name: str, max_bytes: int) -> str:
    """A text of at most `max_bytes` bytes of UTF-8. Raises FieldError."""
    value = body.get(name)
    if not isinstance(value, str):
        raise FieldError(f"{name}: expected a text")
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise FieldError(f"{name}: not encodable as UTF-8") from error
    if size > max_bytes:
        raise FieldError(f"{name}: {size} bytes, at most {max_bytes}")
    return value


def uint_field(body: dict[str, Any], name: str) -> int:
    """An integer from 0 to MAX_UINT. Raises FieldError."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_UINT:
        raise FieldError(f"{name}: expected an integer from 0 to 2^53")
    return value


def uuid_field(body: dict[str, Any], name: str) -> str:
    """A UUID in its lower-case text form. Raises FieldError."""
    value = text_field(body, name, 36)
    try:
        known = str(uuidlib.UUID(value))
    except ValueError as error:
        raise FieldError(f"{name}: expected a UUID") from error
    if known != value.lower():
        raise FieldError(f"{name}: expected a UUID as 8-4-4-4-12 hex digits")
    return known


def uuid_of_switching(body: dict[str, Any]) -> str | None:
    """Of the switching that an order is for, where it says so. Raises BadInput."""
    return uuid_field(body, "uuid") if body.get("uuid") is not None else None
