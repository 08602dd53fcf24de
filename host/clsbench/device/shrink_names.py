"""Shortens private names and names of arguments of a program for a board's memory.

A private name (one leading underscore) is unknown outside the sources handed in, so all modules
can share a few dozen short ones: two names get the same only when no module knows both. An
argument is named by position in every call, unless some call names it.
"""

import ast
import io
import keyword
import re
import string
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_PRIVATE = re.compile(r"_[A-Za-z0-9]\w*")


@dataclass(frozen=True)
class Edit:
    """`text` in the place of start..end, each (line from 1, UTF-8 offset in it)."""

    start: tuple[int, int]
    end: tuple[int, int]
    text: str

    @classmethod
    def replacement(cls, node: ast.expr | ast.stmt | ast.arg, text: str) -> "Edit":
        """`text` instead of a node."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        start = (node.lineno, node.col_offset)
        return cls(start, (node.end_lineno, node.end_col_offset), text)

    @classmethod
    def removal(cls, node: ast.stmt) -> "Edit":
        """Nothing instead of a statement."""
        return cls.replacement(node, "pass")


def apply_edits(text: str, edits: list[Edit]) -> str:
    """`text` edited; as many lines as before. An edit inside another one is passed over."""
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    end = (1, 0)
    chosen = []
    for edit in sorted(edits, key=lambda edit: (edit.start, [-part for part in edit.end])):
        if edit.start >= end:
            chosen.append(edit)
            end = edit.end
    for edit in reversed(chosen):
        (first, left), (last, right) = edit.start, edit.end
        inside = edit.text.encode() + b"\n" * (last - first if last > first else 0)
        tail = lines[last - 1][right:]
        if last > first:  # what follows the statement stays on its last line
            inside = inside[: -(last - first)] + tail.rstrip(b"\r\n") + b"\n" * (last - first + 1)
            tail = b""
        lines[first - 1 : last] = [lines[first - 1][:left] + inside + tail]
    return b"".join(lines).decode()


def shorten_names(sources: Mapping[str, str]) -> dict[str, str]:
    """The sources with short private names and arguments."""
    by_keyword = {
        node.arg
        for text in sources.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.keyword) and node.arg
    }
    short = _short_privates(sources)
    return {
        name: _short_arguments(_renamed(text, short), by_keyword) for name, text in sources.items()
    }


# -- private names


def _short_privates(sources: Mapping[str, str]) -> dict[str, str]:
    """private name -> short one. Names that no source binds belong to the interpreter, and so do
    those of its modules, whoever binds the same elsewhere."""
    used = {name: _privates(text) for name, text in sources.items()}
    bound: set[str] = set()
    spoken: set[str] = set()  # in a string, or of a module that is not ours
    own = {name.split(".")[0] for name in sources}
    for text in sources.values():
        tree = ast.parse(text)
        spoken.update(_foreign(tree, own))
        for node in ast.walk(tree):
            bound.update(_bound(node))
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                spoken.add(node.value)
            if isinstance(node, ast.JoinedStr):
                spoken.update(re.findall(r"\w+", ast.unparse(node)))
    groups = list(_families(sources, used))
    count: dict[str, int] = {}
    for group in groups:
        for name in group:
            count[name] = count.get(name, 0) + 1
    short: dict[str, str] = {}
    for name in sorted((bound - spoken) & set(count), key=lambda name: (-count[name], name)):
        taken = {short.get(other, other) for group in groups if name in group for other in group}
        short[name] = next(other for other in _shorts() if other not in taken)
    return short


def _foreign(tree: ast.Module, own: set[str]) -> Iterator[str]:
    """Private names below a module that is none of the sources': `sys.implementation._machine`."""
    modules = {
        alias.asname or alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name.split(".")[0] not in own
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _PRIVATE.fullmatch(node.attr):
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in modules:
                yield node.attr


def _privates(text: str) -> set[str]:
    return {token.string for token in _tokens(text) if _is_private(token)}


def _is_private(token: tokenize.TokenInfo) -> bool:
    return token.type == tokenize.NAME and bool(_PRIVATE.fullmatch(token.string))


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(text).readline)


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        yield node.id if isinstance(node, ast.Name) else node.attr
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg


def _families(sources: Mapping[str, str], used: Mapping[str, set[str]]) -> Iterator[set[str]]:
    """The names of each module, together with those of the modules whose classes it extends."""
    makers: dict[str, list[str]] = {}
    parents: dict[str, set[str]] = {}
    for module, text in sources.items():
        parents[module] = {module}
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                makers.setdefault(node.name, []).append(module)
                parents[module].update(ast.unparse(base).split(".")[-1] for base in node.bases)
    for module, bases in parents.items():
        related = {module, *(maker for base in bases for maker in makers.get(base, ()))}
        for _ in sources:  # parents of parents
            wider = {m for one in related for base in parents[one] for m in makers.get(base, ())}
            if wider <= related:
                break
            related |= wider
        yield set().union(*(used[one] for one in related))


def _shorts() -> Iterator[str]:
    letters = string.ascii_lowercase + string.digits
    yield from ("_" + letter for letter in letters)
    yield from ("_" + one + other for one in letters for other in letters)


def _renamed(text: str, short: Mapping[str, str]) -> str:
    edits = []
    lines = text.splitlines(keepends=True)
    for token in _tokens(text):
        if _is_private(token) and token.string in short:
            begin = len(lines[token.start[0] - 1][: token.start[1]].encode())
            end = begin + len(token.string.encode())
            line = token.start[0]
            edits.append(Edit((line, begin), (line, end), short[token.string]))
    return apply_edits(text, edits)


# -- arguments


def _short_arguments(text: str, by_keyword: set[str]) -> str:
    edits: list[Edit] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.decorator_list:
            edits += _short_in(node, by_keyword)
    return apply_edits(text, edits)


def _short_in(
    function: ast.FunctionDef | ast.AsyncFunctionDef, by_keyword: set[str]
) -> Iterator[Edit]:
    """One letter per argument. A function with functions inside is left alone."""
    inside = [node for statement in function.body for node in ast.walk(statement)]
    scopes = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
    if any(isinstance(node, scopes | ast.comprehension | ast.Global) for node in inside):
        return
    taken = {node.id for node in inside if isinstance(node, ast.Name)}
    taken |= {node.name or "" for node in inside if isinstance(node, ast.ExceptHandler)}
    taken |= {node.asname or node.name for node in inside if isinstance(node, ast.alias)}
    letters = (letter for letter in string.ascii_lowercase if letter not in taken)
    short = {}
    for argument in function.args.args:
        if argument.arg not in by_keyword | {"self"} and not keyword.iskeyword(argument.arg):
            short[argument.arg] = next(letters, argument.arg)
            line, begin = argument.lineno, argument.col_offset
            end = begin + len(argument.arg.encode())
            yield Edit((line, begin), (line, end), short[argument.arg])
    for node in inside:
        if isinstance(node, ast.Name) and node.id in short:
            yield Edit.replacement(node, short[node.id])
