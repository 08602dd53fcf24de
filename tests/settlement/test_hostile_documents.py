"""Documents mutated at random: refused with a place, or settled with the identity kept."""

import copy
import json
from random import Random

import worked
from hypothesis import given, settings
from hypothesis import strategies as st
from random_points import random_point

from clsbench.errors import BadInput
from clsbench.settlement.core import settle

JUNK = (None, True, 0, -1, 1.5, "", "x", [], {}, [None], {"a": 1}, 10**40, -(10**29), 4, "begin")
INSTANTS = ("2026-05-04T08:15:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "\0")
BASES = [worked.document(case) for case in worked.cases()]


def places(node, path=()):
    """Every path into a document."""
    yield path
    if not isinstance(node, dict | list):
        return
    for key, child in node.items() if isinstance(node, dict) else enumerate(node):
        yield from places(child, (*path, key))


def mutated(random):
    base = random.choice(BASES) if random.random() < 0.5 else random_point(random)
    document = copy.deepcopy(base)
    for _ in range(random.choice((1, 1, 2, 4))):
        all_places = list(places(document))[1:]
        path, other = random.choice(all_places), random.choice(all_places)
        node, taken = document, document
        for key in path[:-1]:
            node = node[key]
        for key in other:
            taken = taken[key]
        kind = random.randrange(4)
        if kind == 0:
            del node[path[-1]]
        elif kind == 1 and isinstance(node, list):
            node.append(copy.deepcopy(random.choice(node)))
        elif kind == 2:
            node[path[-1]] = copy.deepcopy(taken)
        else:
            node[path[-1]] = copy.deepcopy(random.choice(JUNK + INSTANTS))
    return document


@given(st.integers(0, 2**48))
@settings(max_examples=400, deadline=None)
def test_no_document_crashes_the_core_or_breaks_the_identity(seed):
    document = mutated(Random(seed))
    try:
        result = settle(document)
    except BadInput:
        return
    json.dumps(result)
    for slot in result["slots"]:
        energies = [part["energy"] for part in slot["parts"]]
        if slot["total"] is not None:
            assert sum(energies) == slot["total"] >= 0 and all(energy > 0 for energy in energies)
        else:
            assert slot["state"] == "missing" and not energies
