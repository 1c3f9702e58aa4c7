"""Conditions in a status, as `metav1.Condition`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from .services import now

ConditionStatus = Literal["True", "False", "Unknown"]
"""Whether a condition holds."""


@dataclass
class Condition:
    """A condition: whether something holds, since when, and why."""

    type: str
    """What it is about, such as `Ready`."""
    status: ConditionStatus
    """Whether it holds."""
    reason: str = ""
    """Why, in CamelCase."""
    message: str = ""
    """Why, for people."""
    last_transition_time: datetime | None = None
    """When its status last changed."""
    observed_generation: int | None = None
    """Which generation of the object it is about."""


def find_condition(conditions: Iterable[Condition], type: str) -> Condition | None:
    """The condition of a type."""
    return next((condition for condition in conditions if condition.type == type), None)


def is_condition_true(conditions: Iterable[Condition], type: str) -> bool:
    """Whether the condition of a type is there and holds."""
    condition = find_condition(conditions, type)
    return condition is not None and condition.status == "True"


def set_condition(conditions: list[Condition], condition: Condition) -> bool:
    """Adds a condition or changes the one of its type, and says whether that made a difference.

    The time of the last transition changes with the status only: to the condition's own, or
    to the host's present, without what is below a second.
    """
    old = find_condition(conditions, condition.type)
    if old is not None and old.status == condition.status:
        transition = old.last_transition_time
    else:
        transition = condition.last_transition_time or now().replace(microsecond=0)
    new = replace(condition, last_transition_time=transition)
    if new == old:
        return False
    if old is None:
        conditions.append(new)
    else:
        conditions[conditions.index(old)] = new
    return True


def remove_condition(conditions: list[Condition], type: str) -> bool:
    """Removes the condition of a type, and says whether there was one."""
    old = find_condition(conditions, type)
    if old is not None:
        conditions.remove(old)
    return old is not None
