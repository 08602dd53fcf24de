"""`clsbench records`: fetches what a DICAMM recorded; `records export` reads its flash."""

import json
from pathlib import Path

import click

from clsbench.cli.board import records as fetch_records
from clsbench.device import record_flash
from clsbench.device.export import write_records
from clsbench.errors import EnvironmentProblem


class _Records(click.Group):
    """`records --port P` is the command of old; a first word names another."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["fetch", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Records)
def records() -> None:
    """Sealed records of a DICAMM. `records --port P` is short for `records fetch --port P`."""


records.add_command(fetch_records, "fetch")


@records.command()
@click.option("--raw", is_flag=True, required=True, help="Read the flash, not the firmware.")
@click.option("--port", metavar="PORT", help="Board to fetch the record flash from.")
@click.option(
    "--image",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Flash image fetched earlier, instead of --port.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for records.nor, the image, and one file per record.",
)
@click.option(
    "--convert",
    is_flag=True,
    help="Put records of an older layout back in the layout of this firmware.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def export(
    raw: bool, port: str | None, image: Path | None, out: Path, convert: bool, as_json: bool
) -> int:
    """Saves the record flash and every record in it, also where the firmware refuses its layout.

    Exit code 1 when the layout is unknown: then only the image is saved.
    """
    if (port is None) == (image is None) or (convert and port is None):
        raise click.UsageError("either --port or --image; --convert goes with --port")
    data = image.read_bytes() if image is not None else record_flash.fetch(port or "")
    found = record_flash.content(data)
    _save(out, data)
    write_records(out, found.records or [], {}, checked=False)
    if convert:
        record_flash.put(port or "", record_flash.converted(data))
    numbers = [seq for seq, _ in found.records or []]
    document = {
        "ok": found.records is not None,
        "layout": found.layout,
        "records": len(numbers),
        "oldest": min(numbers, default=None),
        "newest": max(numbers, default=None),
        "image": str(out / "records.nor"),
        "converted": convert,
    }
    print(json.dumps(document) if as_json else _text(document))
    return 0 if document["ok"] else 1


def _save(out: Path, data: bytes) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "records.nor").write_bytes(data)
    except OSError as error:
        raise EnvironmentProblem(f"--out {out}: cannot be written: {error.strerror}") from error


def _text(document: dict[str, object]) -> str:
    if not document["ok"]:
        return (
            f"layout {document['layout']} is unknown to this program; "
            f"the flash is saved as {document['image']}"
        )
    lines = [
        f"layout {document['layout']}: {document['records']} records, "
        f"numbers {document['oldest']} to {document['newest']}; image {document['image']}"
    ]
    if document["converted"]:
        lines.append("converted: the device goes on with the next number")
    return "\n".join(lines)
