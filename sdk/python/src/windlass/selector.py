"""Label selectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass
class Requirement:
    """A requirement on one label."""

    key: str
    """The label's name."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How its value relates to `values`."""
    values: list[str] = field(default_factory=list)
    """For `In` and `NotIn`."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels fulfil it."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels

    def __str__(self) -> str:
        values = ",".join(self.values)
        match self.operator:
            case "In":
                return f"{self.key} in ({values})"
            case "NotIn":
                return f"{self.key} notin ({values})"
            case "Exists":
                return self.key
            case "DoesNotExist":
                return f"!{self.key}"


@dataclass
class LabelSelector:
    """A `LabelSelector` of the API; everything in it must hold. `str` gives the form that
    listers and live lists take."""

    match_labels: dict[str, str] = field(default_factory=dict)
    """Labels with their values."""
    match_expressions: list[Requirement] = field(default_factory=list)
    """Requirements of other forms."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels fulfil it."""
        return is_subset(self.match_labels, labels) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )

    def __bool__(self) -> bool:
        """Whether it demands anything."""
        return bool(self.match_labels or self.match_expressions)

    def __str__(self) -> str:
        labels = [f"{name}={value}" for name, value in sorted(self.match_labels.items())]
        return ",".join(labels + [str(requirement) for requirement in self.match_expressions])


Selector = str | LabelSelector | Mapping[str, str]
"""A selector as calls take it: its string form, a `LabelSelector`, or labels to be equal to."""


def selector_text(selector: Selector) -> str:
    """The string form of a selector."""
    if isinstance(selector, Mapping):
        return str(LabelSelector(dict(selector)))
    return str(selector)


def is_subset(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether `labels` has everything that `wanted` has."""
    return wanted.items() <= labels.items()
