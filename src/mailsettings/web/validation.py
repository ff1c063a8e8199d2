"""From pydantic's findings to one sentence that names the member and never repeats its value.

FastAPI's own answer carries the rejected input, for a missing member the whole body, passwords included; and
some of pydantic's texts quote the value. So the sentences here are ours, chosen by the kind of the finding.
"""

from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError

from mailsettings.web.refusals import ParameterInvalid, ParameterMissing, RequestRefused

_SENTENCES: Mapping[str, str] = {
    "string_type": "must be a string.",
    "string_too_short": "must have at least {min_length} characters.",
    "too_short": "must have at least {min_length} characters.",
    "string_too_long": "must have at most {max_length} characters.",
    "too_long": "must have at most {max_length} characters.",
    "int_type": "must be a whole number.",
    "int_parsing": "must be a whole number.",
    "int_from_float": "must be a whole number.",
    "bool_type": "must be true or false.",
    "greater_than_equal": "must be at least {ge}.",
    "less_than_equal": "must be at most {le}.",
    "literal_error": "must be {expected}.",
    "union_tag_invalid": "must be one of {expected_tags}.",
    "model_type": "must be an object.",
    "model_attributes_type": "must be an object.",
    "dict_type": "must be an object.",
    "value_error": "{error}",
}


def first_problem(invalid: RequestValidationError) -> RequestRefused:
    """The first finding as a refusal; one at a time is enough to act on and gives the least away."""
    finding = invalid.errors()[0]
    context = finding.get("ctx", {})
    where = _member(finding["loc"], _discriminator(context))
    if finding["type"] in {"missing", "union_tag_not_found"}:
        return ParameterMissing(f"{where} is missing.")
    sentence = _SENTENCES.get(finding["type"], "has a value that is not taken.")
    return ParameterInvalid(f"{where} {sentence.format_map(context)}")


def _discriminator(context: Mapping[str, Any]) -> str:
    """The member that tells union variants apart, by its name on the wire: pydantic has "'a_b' | 'aB'"."""
    return str(context.get("discriminator", "")).rpartition(" ")[2].strip("'")


def _member(location: tuple[Any, ...], discriminator: str) -> str:
    """The path of a member as the caller wrote it: without "body", and without pydantic's union tags."""
    parts = [part for part in location[1:] if isinstance(part, str) and not part.isupper()]
    return ".".join([*parts, discriminator] if discriminator else parts) or "The body"
