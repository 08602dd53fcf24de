"""What changed from one version of a result to the next, and that the changes add up."""

from typing import Any

Key = tuple[str, str, str, str]  # direction, start, group, uuid


def difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Changed quarter hours and sums of two result documents.

    Energies in 10^unit_scaler of the finer of the two. `adds_up`: per direction the changes of all
    parts equal the change of the totals, and the changes of the sums by group equal both.
    """
    scaler = min(old["unit_scaler"], new["unit_scaler"])
    before, after = _parts(old, scaler), _parts(new, scaler)
    parts = [
        {
            "direction": key[0],
            "start": key[1],
            "group": key[2],
            "uuid": key[3] or None,
            "old": before.get(key, 0),
            "new": after.get(key, 0),
            "change": after.get(key, 0) - before.get(key, 0),
        }
        for key in sorted(before.keys() | after.keys())
        if before.get(key, 0) != after.get(key, 0)
    ]
    states = _states(old, new)
    groups: dict[str, dict[str, int]] = {}
    for part in parts:
        of = groups.setdefault(part["direction"], {})
        of[part["group"]] = of.get(part["group"], 0) + part["change"]
    totals = _totals(old, new, scaler)
    sums = {name: sum(of.values()) for name, of in groups.items()}
    adds_up = all(sums.get(name, 0) == change for name, change in totals.items())
    codes = [
        {(f["code"], f["at"], f["direction"]) for f in each["findings"]} for each in (old, new)
    ]
    return {
        "changed": bool(parts or states or codes[0] != codes[1]),
        "unit_scaler": scaler,
        "states": states,
        "parts": parts,
        "groups": groups,
        "totals": totals,
        "adds_up": adds_up,
        "findings_gone": [list(each) for each in sorted(codes[0] - codes[1], key=repr)],
        "findings_new": [list(each) for each in sorted(codes[1] - codes[0], key=repr)],
    }


def difference_text(told: dict[str, Any]) -> str:
    """A difference in words."""
    if not told["changed"]:
        return "Nothing changed."
    unit = f"x 10^{told['unit_scaler']} Wh"
    lines = [f"Energies {unit}"]
    for each in told["states"]:
        lines.append(
            f"{each['start']} {each['direction']}: {each['old']} -> {each['new']} "
            f"(quality {each['old_quality']} -> {each['new_quality']})"
        )
    for part in told["parts"]:
        who = f"{part['group']} {part['uuid'] or ''}".rstrip()
        lines.append(
            f"{part['start']} {part['direction']} {who}: {part['old']} -> {part['new']} "
            f"({part['change']:+})"
        )
    for name, groups in told["groups"].items():
        changes = ", ".join(f"{group} {change:+}" for group, change in sorted(groups.items()))
        lines.append(f"Sum {name}: {changes}; all together {told['totals'].get(name, 0):+}")
    for word, findings in (("gone", told["findings_gone"]), ("new", told["findings_new"])):
        lines += [f"Doubt {word}: {each[0]} at {each[1]} {each[2] or ''}" for each in findings]
    lines.append("The changes add up." if told["adds_up"] else "THE CHANGES DO NOT ADD UP.")
    return "\n".join(lines)


def _parts(result: dict[str, Any], scaler: int) -> dict[Key, int]:
    factor = 10 ** (result["unit_scaler"] - scaler)
    found: dict[Key, int] = {}
    for slot in result["slots"]:
        for part in slot["parts"]:
            key = (slot["direction"], slot["start"], part["group"], part["uuid"] or "")
            found[key] = found.get(key, 0) + part["energy"] * factor
    return found


def _states(old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, str]]:
    before, after = (
        {(slot["start"], slot["direction"]): slot for slot in each["slots"]} for each in (old, new)
    )
    none = {"state": "absent", "quality": "none"}
    found = []
    for key in sorted(before.keys() | after.keys()):
        one, two = before.get(key, none), after.get(key, none)
        if (one["state"], one["quality"]) != (two["state"], two["quality"]):
            found.append(
                {
                    "start": key[0],
                    "direction": key[1],
                    "old": one["state"],
                    "new": two["state"],
                    "old_quality": one["quality"],
                    "new_quality": two["quality"],
                }
            )
    return found


def _totals(old: dict[str, Any], new: dict[str, Any], scaler: int) -> dict[str, int]:
    sums: dict[str, int] = {}
    for sign, result in ((-1, old), (1, new)):
        factor = sign * 10 ** (result["unit_scaler"] - scaler)
        for slot in result["slots"]:
            name = slot["direction"]
            sums[name] = sums.get(name, 0) + factor * (slot["total"] or 0)
    return sums
