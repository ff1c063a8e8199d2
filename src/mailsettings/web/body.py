"""Turn pydantic's findings into sentences, each of which names a member and never repeats its value.

FastAPI's own response carries the rejected input, for a missing member the whole body, passwords included; and
some of pydantic's texts quote the value. So the sentences here depend only on the kind of the finding. The
rules of the domain are validators of single members, so that one error names every member that breaks a rule.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, get_args

from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel

from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.mail_server import OAuth2ClientCredentials, PasswordAuthentication, Sender
from mailsettings.domain.values import require_host
from mailsettings.web.normalization import ascii_lower
from mailsettings.web.request_errors import ParameterInvalid, ParameterMissing, RequestError

_MISSING = {"missing", "union_tag_not_found"}

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


def request_error(invalid: RequestValidationError) -> RequestError:
    """Return all findings as one error with a sentence each: `ParameterMissing` if all are missing members."""
    findings = invalid.errors()
    message = " ".join(dict.fromkeys(map(_sentence, findings)))
    kind = ParameterMissing if all(finding["type"] in _MISSING for finding in findings) else ParameterInvalid
    return kind(message)


def member_names(model: Any) -> Collection[str]:
    """Return the JSON names of all members of *model* and of nested models, in lower case."""
    return frozenset(ascii_lower(name) for name in _names(model))


def _names(annotation: Any) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield field.alias or name
            yield from _names(field.annotation)
    else:
        for inner in get_args(annotation):
            yield from _names(inner)


def _sentence(finding: Mapping[str, Any]) -> str:
    context = finding.get("ctx", {})
    where = _member(finding["loc"], _discriminator(context))
    if finding["type"] in _MISSING:
        return f"{where} is missing."
    sentence = _SENTENCES.get(finding["type"], "has a value that is not accepted.")
    return f"{where} {sentence.format_map(context)}"


def _discriminator(context: Mapping[str, Any]) -> str:
    """Return the JSON name of a union's discriminator: pydantic has "'a_b' | 'aB'"."""
    return str(context.get("discriminator", "")).rpartition(" ")[2].strip("'")


def _member(location: tuple[Any, ...], discriminator: str) -> str:
    """Return the path of a member in the request: without "body" and pydantic's union tags."""
    # Tags of unions are upper case in the dialects ("NO_AUTH"), names of members are not.
    parts = [part for part in location[1:] if isinstance(part, str) and not part.isupper()]
    return ".".join([*parts, discriminator] if discriminator else parts) or "The body"


def _validator(check: Callable[[str], object]) -> AfterValidator:
    def validate(text: str | None) -> str | None:
        try:
            if text:  # each API decides itself whether a member may be missing or empty
                check(text)
        except InvalidSetting as refused:
            raise ValueError(refused.problem) from None
        return text

    return AfterValidator(validate)


HOST = _validator(lambda text: require_host(text.strip(" ")))
SENDER_ADDRESS = _validator(Sender)
SENDER_NAME = _validator(lambda text: Sender("x", text))
USERNAME = _validator(lambda text: PasswordAuthentication(text, None))
CLIENT_ID = _validator(lambda text: OAuth2ClientCredentials("x", text, "x", None))
TENANT = _validator(lambda text: OAuth2ClientCredentials("x", "x", text, None))
