"""Makes the firmware's source small in a board's memory before it is compiled.

Every name that a module holds at run time takes 16 to 40 bytes of heap on a 64-bit board (half of
that on a chip), and the readable source is full of names that say nothing to the interpreter:

- integer constants become literals wherever they are used, across modules (`codes.METER_CRC`
  becomes 22), and neither the constant nor its import stays behind;
- what only tools read goes: `__all__`, TYPE_CHECKING, the stand-in for `const`;
- private names and names of arguments are shortened (`clsbench.device.shrink_names`).

Lines stay where they were, so a traceback names the line of the readable source. Knows the
program as a whole and nothing of boards; what it cannot prove to be safe it leaves alone.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from clsbench.device.shrink_names import Edit, apply_edits, shorten_names

PACKAGE = "dicamm"
_LARGEST = 1 << 62  # an integer object of its own beyond, made anew wherever it stands


@dataclass
class Module:
    """One source file of the program. `bound`: how often each name is bound anywhere in it."""

    text: str
    tree: ast.Module
    bound: Counter[str]
    values: dict[str, int] = field(default_factory=dict)
    statements: dict[str, ast.stmt] = field(default_factory=dict)  # that make the constants
    modules: dict[str, str] = field(default_factory=dict)  # alias -> module
    names: dict[str, tuple[str, str]] = field(default_factory=dict)  # alias -> module, name


def shrink(sources: Mapping[str, str]) -> dict[str, str]:
    """The shrunk text of each module of a program; keys are dotted names (`dicamm.proto.crc`).

    Whatever uses the program's constants or calls it with keyword arguments must be among the
    sources. Raises SyntaxError for a text that Python does not parse.
    """
    program = {name: _parsed(name, text) for name, text in sources.items()}
    for module in program.values():
        _find_imports(module, program)
        _find_constants(module)
    kept = set(_looked_up(program))
    folded = {name: _folded(name, module, program, kept) for name, module in program.items()}
    return shorten_names(folded)


def _parsed(name: str, text: str) -> Module:
    tree = ast.parse(text, name)
    bound: Counter[str] = Counter()
    for node in ast.walk(tree):
        bound.update(_bindings(node))
    return Module(text, tree, bound)


def _bindings(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.split(".")[0]
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    elif isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names


# -- what stands where


def _find_imports(module: Module, program: Mapping[str, Module]) -> None:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        for alias in node.names:
            name = alias.asname or alias.name
            if f"{node.module}.{alias.name}" in program:
                module.modules[name] = f"{node.module}.{alias.name}"
            elif node.module in program:
                module.names[name] = (node.module, alias.name)


def _find_constants(module: Module) -> None:
    for statement in module.tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name = statement.targets[0].id
            value = _integer(statement.value, module.values)
            alone = len(statement.targets) == 1 and module.bound[name] == 1
            if value is not None and name.isupper() and alone:
                module.values[name] = value
                module.statements[name] = statement


def _integer(node: ast.expr, known: Mapping[str, int]) -> int | None:
    """The value of an expression of integers and known constants, else None."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "const" and len(node.args) == 1:
        node = node.args[0]
    parts = [part for part in ast.walk(node) if isinstance(part, ast.expr)]
    for part in parts:
        if isinstance(part, ast.Constant) and type(part.value) is not int:
            return None
        if isinstance(part, ast.Name) and part.id not in known:
            return None
        if not isinstance(part, ast.Constant | ast.Name | ast.UnaryOp | ast.BinOp):
            return None
    value = eval(ast.unparse(node), {"__builtins__": {}}, dict(known))
    return value if type(value) is int and abs(value) < _LARGEST else None


def _value(program: Mapping[str, Module], module: str, name: str) -> int | None:
    """The constant `name` of `module`, its own or one it imported; None where it is none."""
    while module in program:
        here = program[module]
        if name in here.values:
            return here.values[name]
        if name not in here.names or here.bound[name] != 1:
            return None
        module, name = here.names[name]
    return None


def _looked_up(program: Mapping[str, Module]) -> Iterator[tuple[str, str]]:
    """(module, name) of constants that must stay: somebody asks for them at run time."""
    for module in program.values():
        for alias, target in module.modules.items():
            if not _foldable_alias(module, alias):
                yield from ((target, name) for name in program[target].values)
        for alias, (target, name) in module.names.items():
            if module.bound[alias] != 1:
                yield target, name


def _foldable_alias(module: Module, alias: str) -> bool:
    """Whether `alias` is bound once and used for nothing but its attributes."""
    bases = {id(node.value) for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    uses = (n for n in ast.walk(module.tree) if isinstance(n, ast.Name) and n.id == alias)
    return module.bound[alias] == 1 and all(id(use) in bases for use in uses)


# -- edits


def _folded(
    own: str, module: Module, program: Mapping[str, Module], kept: set[tuple[str, str]]
) -> str:
    edits = list(_literals(module, program, own))
    gone = {node.start for node in edits}
    left = Counter(
        node.id
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load)
        and (node.lineno, node.col_offset) not in gone
    )
    inside_constants = Counter[str]()
    for name, statement in module.statements.items():
        if (own, name) not in kept:
            edits.append(Edit.removal(statement))
            inside_constants.update(_loads(statement))
    for statement in module.tree.body:
        if _for_tools(statement):
            edits.append(Edit.removal(statement))
    if left["const"] == inside_constants["const"]:
        edits += [Edit.removal(node) for node in module.tree.body if _makes_const(node)]
    edits += _thinned_imports(own, module, program, kept, left)
    return apply_edits(module.text, edits)


def _loads(statement: ast.stmt) -> Iterator[str]:
    return (n.id for n in ast.walk(statement) if isinstance(n, ast.Name))


def _literals(module: Module, program: Mapping[str, Module], own: str) -> Iterator[Edit]:
    """Uses of constants, as literals."""
    dotted = {id(node.value) for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            base, owner, name = node.value.id, module.modules.get(node.value.id, ""), node.attr
        elif isinstance(node, ast.Name):
            base, owner, name = node.id, own, node.id
        else:
            continue
        value = _value(program, owner, name)
        if value is not None and isinstance(node.ctx, ast.Load) and module.bound[base] == 1:
            bare = value >= 0 and id(node) not in dotted
            yield Edit.replacement(node, str(value) if bare else f"({value})")


def _for_tools(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign):
        return ast.unparse(statement.targets[0]) in ("__all__", "TYPE_CHECKING")
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"


def _makes_const(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Try):
        return ast.unparse(statement) == "from micropython import const"
    return [ast.unparse(node) for node in statement.body] == ["from micropython import const"]


def _thinned_imports(
    own: str,
    module: Module,
    program: Mapping[str, Module],
    kept: set[tuple[str, str]],
    left: Counter[str],
) -> Iterator[Edit]:
    """Imports without the constants that nobody looks up any more."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(PACKAGE):
            continue
        names = [
            alias
            for alias in node.names
            if left[name := alias.asname or alias.name]
            or module.bound[name] != 1
            or not _is_constant(own, name, module, program)
            or (own, name) in kept
        ]
        if not names:
            yield Edit.removal(node)
        elif len(names) < len(node.names):
            what = ", ".join(ast.unparse(alias) for alias in names)
            yield Edit.replacement(node, f"from {node.module} import {what}")


def _is_constant(own: str, name: str, module: Module, program: Mapping[str, Module]) -> bool:
    """Whether an imported name is a constant, or a module of which nothing else was used."""
    if name in module.modules:
        return not module.modules[name].startswith(f"{PACKAGE}.app")
    return _value(program, own, name) is not None
