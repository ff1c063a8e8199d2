"""Parts of every request body: strict members, and rules of the domain about a single member."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema

from mailsettings.domain.errors import InvalidSetting
from mailsettings.web.request_errors import FieldError, ParameterInvalid


def checked(check: Callable[[], object]) -> None:
    """Call *check*, and turn a refusal of the domain into an error of the member that pydantic checks."""
    try:
        check()
    except InvalidSetting as refused:
        raise ValueError(refused.problem) from None


def rule(check: Callable[[Any], object]) -> AfterValidator:
    """Return the validator of a member by a rule of the domain; a member without a value is not checked."""

    def validate(value: Any) -> Any:
        if value is not None:
            checked(lambda: check(value))
        return value

    return AfterValidator(validate)


class _WithoutNull:
    """Documents an optional member without the null that stands for its absence.

    Not by `SkipJsonSchema[None]`: with that pydantic reports a wrong value once for each part of the union.
    """

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler(schema)
        [variant] = [each for each in found.pop("anyOf") if each != {"type": "null"}]
        return {**variant, **found}


WITHOUT_NULL = _WithoutNull()


class Input(BaseModel):
    """A part of a request; unknown members are refused by name."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


Ignored = Annotated[Any, SkipJsonSchema()]
"""A member that the service sets: a client may send back what it read."""


def require_unchanged(sent: BaseModel, now: Mapping[str, object]) -> None:
    """Raise `ParameterInvalid` for other values of members that the service sets, such as an old version."""
    wrong = [name for name in now if name in sent.model_fields_set and getattr(sent, name) != now[name]]
    if wrong:
        fields = [FieldError("body", (name,), f"{name} is set by the service.", "read_only") for name in wrong]
        raise ParameterInvalid(" ".join(field.sentence for field in fields), fields)
