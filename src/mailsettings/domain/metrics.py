"""Metrics that can be read at any moment, independent of any monitoring system."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gauge:
    """A value that goes up and down: one for each combination of the *labels*, or a single one without labels.

    The combinations must be few, because a monitoring system stores each one for months, and hold no text that a
    user chose, unless a setting of the operator asks for it.
    """

    name: str
    meaning: str
    values: Mapping[tuple[str, ...], float]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exposition:
    """All metrics as text, in the format *media_type*."""

    content: bytes
    media_type: str
