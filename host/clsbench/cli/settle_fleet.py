"""`clsbench settle fleet`: many metering points, each a file of columns, on all cores.

One point is in memory per process, so memory does not grow with their number. File form: NPZ of
int64 columns (`save_columns`), results likewise, doubts as JSON lines. Needs numpy.
"""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from clsbench.errors import BadInput, EnvironmentProblem

_EVENT_COLUMNS = ("seq", "t_ms", "kind", "tx", "ptb", "valid")
_SERIES_COLUMNS = ("due_ms", "at_ms", "raw", "ptb")


@dataclass
class Tally:
    """What became of points: cuts = readings and values of events; sums: direction -> group."""

    points: int = 0
    cuts: int = 0
    by_core: int = 0
    missing: int = 0
    faulty: int = 0
    findings: int = 0
    unit_scaler: int = 0
    sums: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        """Takes the figures of another in, sums in the finer unit of the two."""
        scaler = min(self.unit_scaler, other.unit_scaler) if self.points else other.unit_scaler
        sums: dict[str, dict[str, int]] = {}
        for each in (self, other):
            factor = 10 ** (each.unit_scaler - scaler) if each.sums else 1
            for name, groups in each.sums.items():
                of = sums.setdefault(name, {})
                for group, energy in groups.items():
                    of[group] = of.get(group, 0) + energy * factor
        for name in ("points", "cuts", "by_core", "missing", "faulty", "findings"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.sums, self.unit_scaler = sums, scaler


def save_columns(path: Path, columns: Any) -> None:
    """Writes a plain point's columns."""
    import numpy as np  # pyright: ignore[reportMissingImports]

    frame = columns.frame
    of = [frame.groups.of(uuid) for uuid in columns.uuids]
    names = sorted(set(of))
    index = {name: number for number, name in enumerate(names)}
    head = {
        "window": [frame.from_ms, frame.to_ms],
        "groups": {"rest": frame.groups.rest, "delta": frame.groups.delta},
        "group_names": names,
        "policy": {k: v for k, v in asdict(frame.policy).items() if k != "over_claim"},
        "directions": list(frame.directions),
        "open_at_start": sorted(frame.open_at_start),
        "last_number_before": frame.last_number_before,
        "unit_scaler": frame.unit_scaler,
    }
    events = columns.events
    arrays = {f"event_{name}": getattr(events, name) for name in _EVENT_COLUMNS}
    for name, own in columns.series.items():
        arrays |= {f"{name}_{column}": getattr(own, column) for column in _SERIES_COLUMNS}
        arrays |= {f"event_raw_{name}": events.raw[name], f"event_has_{name}": events.has[name]}
    arrays["uuids"] = np.array([uuid.encode() for uuid in columns.uuids], dtype="S")
    arrays["tx_group"] = np.array([index[group] for group in of], dtype=np.int32)
    text = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    np.savez(path, head=text, **{name: _narrow(name, own) for name, own in arrays.items()})


def _narrow(name: str, column: Any) -> Any:
    """Codes in a byte, indices in four, the rest as it is."""
    if name.endswith(("ptb", "kind", "state", "quality")):
        return column.astype("int8")
    return column.astype("int32") if name.endswith(("_slot", "_tx")) else column


def load_columns(path: Path) -> Any:
    """The columns in a file. Raises BadInput."""
    import numpy as np  # pyright: ignore[reportMissingImports]

    from clsbench.settlement.columns import Columns, Events, Series
    from clsbench.settlement.document import read_policy
    from clsbench.settlement.model import MeteringPoint

    try:
        with np.load(path, allow_pickle=False) as file:
            data = {name: file[name] for name in file.files}
        head = json.loads(data["head"].tobytes())
        names = tuple(head["directions"])
        uuids = data["uuids"].astype("U").tolist()
        frame = MeteringPoint(
            from_ms=head["window"][0],
            to_ms=head["window"][1],
            groups=_groups(head, uuids, data["tx_group"]),
            policy=read_policy(head["policy"]),
            directions=names,
            readings=(),
            events=(),
            open_at_start=frozenset(head["open_at_start"]),
            last_number_before=head["last_number_before"],
            meter_changes=(),
            unit_scaler=head["unit_scaler"],
        )
        events = Events(
            **{name: data[f"event_{name}"] for name in _EVENT_COLUMNS},
            raw={name: data[f"event_raw_{name}"] for name in names},
            has={name: data[f"event_has_{name}"] for name in names},
        )
        series = {
            name: Series(**{column: data[f"{name}_{column}"] for column in _SERIES_COLUMNS})
            for name in names
        }
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise BadInput(f"{path}: is no file of columns: {error!r}") from error
    return Columns(frame, series, events, uuids)


def _groups(head: dict[str, Any], uuids: list[str], tx_group: Any) -> Any:
    from clsbench.settlement.model import Groups

    names = head["group_names"]
    by_uuid = {uuid: names[at] for uuid, at in zip(uuids, tx_group.tolist(), strict=True)}
    return Groups(head["groups"]["rest"], head["groups"]["delta"], by_uuid)


def settle_file(path: Path, out: Path) -> Tally:
    """Settles a file into `out`: NAME.npz with quarter hours and parts, NAME.jsonl with doubts."""
    import numpy as np  # pyright: ignore[reportMissingImports]

    from clsbench.settlement import fast

    columns = load_columns(path)
    result = fast.settle_columns(columns)
    arrays: dict[str, Any] = {}
    groups = columns.frame.groups
    named = groups.by_uuid.get
    group_of = [named(uuid, groups.delta) for uuid in result.uuids]
    tally = Tally(points=1, unit_scaler=columns.frame.unit_scaler)
    tally.by_core = int(result.by_core is not None)
    tally.findings = len(result.findings)
    for book in result.books:
        name = book.direction
        for column in ("total", "state", "quality", "part_slot", "part_tx", "part_energy"):
            arrays[f"{name}_{column}"] = _narrow(column, getattr(book, column).astype(np.int64))
        arrays[f"{name}_tx_energy"] = book.tx_energy.astype(np.int64)
        own = columns.series[name]
        tally.cuts += len(own.due_ms) + int(columns.events.has[name].sum())
        tally.missing += int((book.state == fast.MISSING).sum())
        tally.faulty += int((book.state == fast.FAULTY).sum())
        tally.sums[name] = _sums(book, result, group_of, groups)
    np.savez(out / path.name, **arrays)
    if result.findings:
        lines = "".join(json.dumps(each.document()) + "\n" for each in result.findings)
        (out / path.name).with_suffix(".jsonl").write_text(lines, encoding="utf-8")
    return tally


def _sums(book: Any, result: Any, group_of: list[str], groups: Any) -> dict[str, int]:
    import numpy as np  # pyright: ignore[reportMissingImports]

    names = sorted({groups.rest, groups.delta, *group_of})
    index = {name: number for number, name in enumerate(names)}
    lookup = [index[group] for group in group_of] + [index[groups.delta], index[groups.rest]]
    sums = np.zeros(len(names), dtype=np.int64)
    where = np.array(lookup, dtype=np.int64)[book.part_tx.astype(np.int64)]
    np.add.at(sums, where, book.part_energy.astype(np.int64))
    return {name: int(energy) for name, energy in zip(names, sums, strict=True) if energy}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def fleet(folder: Path, out: Path, jobs: int, as_json: bool) -> int:
    """Settle every metering point in DIR (NPZ columns); exit code 1 with any doubt."""
    from importlib.util import find_spec

    if find_spec("numpy") is None:
        raise EnvironmentProblem(
            "settle fleet needs numpy, which is not installed here. Install it with: "
            "pip install 'clsbench[settlement]'"
        )
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise BadInput(f"{folder}: holds no columns (*.npz)")
    out.mkdir(parents=True, exist_ok=True)
    whole = _run(paths, out, jobs)
    if as_json:
        click.echo(json.dumps(asdict(whole)))
    else:
        _show(whole)
    return 1 if whole.findings else 0


def _run(paths: list[Path], out: Path, jobs: int) -> Tally:
    from rich.console import Console
    from rich.progress import Progress

    import clsbench.settlement.fast  # once, before the processes part  # noqa: F401

    whole = Tally()
    with ProcessPoolExecutor(jobs) as pool:
        # the processes part here, before the progress bar has a thread
        tallies = pool.map(_settle_one, paths, [out] * len(paths), chunksize=4)
        with Progress(console=Console(stderr=True)) as progress:
            bar = progress.add_task("metering points", total=len(paths))
            for tally in tallies:
                whole.add(tally)
                progress.advance(bar)
    return whole


def _settle_one(path: Path, out: Path) -> Tally:
    return settle_file(path, out)


def _show(whole: Tally) -> None:
    from clsbench.cli.settle_text import kwh

    click.echo(
        f"{whole.points} metering points, {whole.cuts} cuts; {whole.missing} quarter hours "
        f"missing, {whole.faulty} faulty, {whole.findings} doubts; {whole.by_core} points by the "
        "core alone"
    )
    for name, groups in whole.sums.items():
        told = ", ".join(f"{g} {kwh(e, whole.unit_scaler)}" for g, e in sorted(groups.items()))
        click.echo(f"{name}: {told} kWh")
