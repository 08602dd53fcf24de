"""What a check of a TRuDI file found, rule by rule."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule and what speaks against it. findings empty: it holds. why_not: not looked at."""

    name: str
    says: str
    findings: tuple[str, ...] = ()
    why_not: str = ""

    @property
    def ok(self) -> bool:
        """True when nothing speaks against it."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Report:
    """All rules of one file. taf: number of the tariff use case; None: could not be told."""

    file: str
    taf: int | None
    rules: tuple[Rule, ...]

    @property
    def ok(self) -> bool:
        """True when every rule holds that could be looked at."""
        return all(rule.ok for rule in self.rules)

    def failed(self) -> list[str]:
        """Names of the rules that do not hold."""
        return [rule.name for rule in self.rules if not rule.ok]

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "file": self.file,
            "ok": self.ok,
            "taf": self.taf,
            "rules": [
                {
                    "name": rule.name,
                    "says": rule.says,
                    "ok": rule.ok,
                    "findings": list(rule.findings),
                    "why_not": rule.why_not or None,
                }
                for rule in self.rules
            ],
        }


MAX_FINDINGS = 20


def rule(name: str, says: str, findings: Iterable[str]) -> Rule:
    """A rule with its findings, at most MAX_FINDINGS of them."""
    return Rule(name, says, tuple(_first(findings)))


def _first(findings: Iterable[str]) -> Iterator[str]:
    for number, finding in enumerate(findings, 1):
        if number > MAX_FINDINGS:
            yield "and more"
            return
        yield finding
