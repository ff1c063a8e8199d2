"""Metrics that can be read at any moment, independent of any monitoring system."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gauge:
    """A value that goes up and down: one for each combination of the *labels*, or a single one without labels.

    The combinations must be few and known in advance, because a monitoring system stores each one for months. So
    an id, an address or a name that a user chose is never a label.
    """

    name: str
    meaning: str
    values: Mapping[tuple[str, ...], float]
    labels: tuple[str, ...] = ()
