"""All rules of a TRuDI file at once: structure, model, tariff file, recount, schema."""

import xml.etree.ElementTree as ET
from pathlib import Path

from clsbench.smgw.trudi.document import Series, find_all, read_xml, series_of
from clsbench.smgw.trudi.findings import Report, Rule
from clsbench.smgw.trudi.recompute import recompute_rules
from clsbench.smgw.trudi.rules import adapter_rules, common_rules
from clsbench.smgw.trudi.schema import schema_rule
from clsbench.smgw.trudi.structure import structure_rules
from clsbench.smgw.trudi.tariff_file import read_tariff
from clsbench.smgw.trudi.tariff_rules import tariff_rules

Source = tuple[str, bytes]  # name, content


def check(
    file: Source, tariff: Source | None = None, schema: Path | None = None, taf: int | None = None
) -> Report:
    """The report on a gateway's file, beside a supplier's one where it is given.

    taf: the tariff use case; None: told from the file. Raises BadInput when a file is not XML,
    EnvironmentProblem where a schema is given and cannot be used.
    """
    name, data = file
    root = read_xml(data, name)
    rules = structure_rules(root)
    points = find_all(root, "UsagePoint") or [ET.Element("none")]
    point = points[0]
    series = series_of(point)
    number = taf or taf_of(series)
    rules += adapter_rules(point, number)
    supplier = None
    if tariff is not None:
        supplier_root = read_xml(tariff[1], tariff[0])
        supplier = (find_all(supplier_root, "UsagePoint") or [ET.Element("none")])[0]
        theirs = [*structure_rules(supplier_root), *common_rules(supplier)]
        rules += [_of_supplier(one) for one in theirs]
        rules += tariff_rules(supplier, point)
    read = None if supplier is None else read_tariff(supplier)
    rules += recompute_rules(series, number, read)
    rules.append(schema_rule(data, schema))
    if tariff is not None:
        rules.append(_of_supplier(schema_rule(tariff[1], schema)))
    return Report(name, number, tuple(rules))


def taf_of(series: list[Series]) -> int | None:
    """The tariff use case: as our descriptions name it, else by the registers; None: unclear."""
    named = {one.description for one in series if (one.description or "").startswith("TAF-")}
    if len(named) == 1:
        digits = (named.pop() or "").removeprefix("TAF-")
        return int(digits) if digits.isdecimal() else None
    if series and all(one.original for one in series):
        return 7
    stages = {(one.obis or "")[8:10] for one in series if not one.original}
    return 2 if stages - {"00", ""} else 1 if stages else None


def _of_supplier(one: Rule) -> Rule:
    return Rule(f"supplier.{one.name}", f"supplier: {one.says}", one.findings, one.why_not)
