"""Validation against the schema files of AR 2418-6, which are the user's, not ours.

Needs lxml. The schema imports the namespace of `xml:` by its address; here nothing is fetched:
that import is answered with the file `xml.xsd` beside the schema.
"""

import importlib
from pathlib import Path
from typing import Any

from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.smgw.trudi.findings import Rule, rule

VARIABLE = "CLSBENCH_TRUDI_SCHEMA"
SCHEMA_NAME = "AR_2418-6.xsd"
SAYS = "the file is valid against the schema"


def schema_rule(data: bytes, schema: Path | None) -> Rule:
    """The rule X1; schema: AR_2418-6.xsd or the folder it lies in, None: not looked at.

    Raises BadInput when the schema cannot be read, EnvironmentProblem without lxml.
    """
    if schema is None:
        return Rule("X1", SAYS, why_not=f"no schema given: --schema DIR or {VARIABLE}")
    path = schema / SCHEMA_NAME if schema.is_dir() else schema
    etree = _lxml()
    try:
        validator = etree.XMLSchema(etree.parse(str(path), _parser(etree, path.parent)))
        tree = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except (OSError, etree.XMLSyntaxError, etree.XMLSchemaParseError) as error:
        raise BadInput(f"schema {path}: {error}") from error
    validator.validate(tree)
    return rule("X1", SAYS, (f"line {e.line}: {e.message}" for e in validator.error_log))


def _lxml() -> Any:
    try:
        return importlib.import_module("lxml.etree")
    except ImportError as error:
        raise EnvironmentProblem(
            "checking against a schema needs the package lxml, which is not installed here; "
            "every other rule is checked without it (leave out --schema)"
        ) from error


def _parser(etree: Any, folder: Path) -> Any:
    class Local(etree.Resolver):
        def resolve(self, url: str, public_id: str, context: Any) -> Any:
            if url.startswith(("http:", "https:")):
                return self.resolve_filename(str(folder / Path(url).name), context)
            return None

    parser = etree.XMLParser(no_network=True, resolve_entities=False)
    parser.resolvers.add(Local())
    return parser
