"""Request bodies: strict JSON, checks of single fields by the domain, and the error that names a field."""

import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NoReturn, get_args

from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel

from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.mail_server import OAuth2ClientCredentials, PasswordAuthentication, Sender
from mailsettings.domain.values import require_host
from mailsettings.web.normalization import ascii_lower
from mailsettings.web.request_errors import FieldError, MalformedBody, ParameterInvalid, ParameterMissing

MAX_DEPTH = 16


def parse(body: bytes, members: Collection[str] = ()) -> object:
    """Return the value in *body*; a byte order mark is ignored (RFC 8259 8.1). Raises `MalformedBody`.

    The error names the member if all parts of its path are in *members*, in any case, and never repeats a value.
    """
    try:
        value = json.loads(
            body.removeprefix(BOM_UTF8).decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite_number,
        )
    except UnicodeDecodeError:
        raise MalformedBody("The body must be encoded as UTF-8.") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # JSONDecodeError, and integers of thousands of digits
        raise MalformedBody("The body is not valid JSON.") from None
    for path, text in _texts(value, (), 1):
        _require_sound(path, text, members)
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):  # RFC 7493 2.3: names are unique; RFC 8259 4 leaves the meaning open
        raise MalformedBody("An object in the body has the same member twice.")
    return members


def _refuse_constant(_name: str) -> NoReturn:
    # RFC 8259 6: "Infinity and NaN are not permitted", but Python's parser accepts both.
    raise MalformedBody("The body is not valid JSON: NaN and Infinity are not numbers in it.")


def _finite_number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise MalformedBody("The body has a number that is too large.")
    return number


def _texts(value: object, path: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every string in *value*, keys included, with the path of its member."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:  # a limit that RFC 8259 9 allows; no request here needs more than four levels
            raise _too_deep()
        if isinstance(value, dict):
            for key, member in value.items():
                yield path, key
                yield from _texts(member, (*path, key), depth + 1)
        else:
            for member in value:
                yield from _texts(member, path, depth + 1)


def _require_sound(path: tuple[str, ...], text: str, members: Collection[str]) -> None:
    known = path and all(ascii_lower(part) in members for part in path)
    where = f"{'.'.join(path)} has" if known else "The body has a member with"
    if "\0" in text:  # PostgreSQL cannot store it, and C libraries end strings there
        raise MalformedBody(f"{where} a NUL character in it.")
    # A lone surrogate has no UTF-8 form (RFC 7493 2.1), so it could be neither stored nor sent back.
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise MalformedBody(f"{where} half of a surrogate pair in it.")


def _too_deep() -> MalformedBody:
    return MalformedBody(f"The body must not be nested deeper than {MAX_DEPTH} levels.")


_MISSING = {"missing", "union_tag_not_found"}
_DISCRIMINATOR = "kind"
"""The discriminator of unions with tags in lower case; the tags of the vendors' unions are in upper case."""
# Safe to repeat: an unknown name may be a secret in the wrong place.
_USUAL_NAME = re.compile(r"[A-Za-z_]{1,40}")

_SENTENCES: Mapping[str, tuple[str, str]] = {
    "missing": ("missing", "is missing."),
    "union_tag_not_found": ("missing", "is missing."),
    "string_type": ("wrong_type", "must be a string."),
    "string_too_short": ("too_short", "must have at least {min_length} characters."),
    "too_short": ("too_short", "must have at least {min_length} characters."),
    "string_too_long": ("too_long", "must have at most {max_length} characters."),
    "too_long": ("too_long", "must have at most {max_length} characters."),
    "int_type": ("wrong_type", "must be a whole number."),
    "int_parsing": ("wrong_type", "must be a whole number."),
    "int_from_float": ("wrong_type", "must be a whole number."),
    "bool_type": ("wrong_type", "must be true or false."),
    "bool_parsing": ("wrong_type", "must be true or false."),
    "greater_than_equal": ("too_small", "must be at least {ge}."),
    "less_than_equal": ("too_large", "must be at most {le}."),
    "enum": ("not_a_choice", "must be {expected}."),
    "literal_error": ("not_a_choice", "must be {expected}."),
    "union_tag_invalid": ("not_a_choice", "must be one of {expected_tags}."),
    "model_type": ("wrong_type", "must be an object."),
    "model_attributes_type": ("wrong_type", "must be an object."),
    "dict_type": ("wrong_type", "must be an object."),
    "list_type": ("wrong_type", "must be an array."),
    "value_error": ("invalid", "{error}"),
}
"""For each type of a finding of pydantic: the code, and the end of the sentence."""
_OTHER = ("invalid", "has a value that is not accepted.")


def request_error(invalid: RequestValidationError) -> ParameterInvalid:
    """Return all findings as one error with a sentence each: `ParameterMissing` if all are missing members."""
    return findings_error(invalid.errors(), invalid.body)


def findings_error(findings: Sequence[Any], sent: object) -> ParameterInvalid:
    """Return the *findings* of pydantic about *sent* as one error."""
    fields = [_field_error(finding, sent) for finding in findings]
    message = " ".join(dict.fromkeys(field.sentence for field in fields))
    kind = ParameterMissing if all(finding["type"] in _MISSING for finding in findings) else ParameterInvalid
    return kind(message, fields)


def _field_error(finding: Mapping[str, Any], sent: object) -> FieldError:
    context = finding.get("ctx", {})
    source, *location = finding["loc"]
    if finding["type"] == "extra_forbidden":  # its name is any text, so it may look like a tag
        return unknown_field(source, (*_path(location[:-1], sent), location[-1]))
    path = _path(location, sent) if source == "body" else tuple(location)
    if discriminator := _discriminator(context):
        path = (*path, discriminator)
    code, end = _SENTENCES.get(finding["type"], _OTHER)
    where = ".".join(map(str, path)) or "The body"
    return FieldError(source, path, f"{where} {end.format_map(context)}", code)


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


def is_usual_name(name: str) -> bool:
    """Return whether *name* looks like a name, and so is safe to repeat."""
    return _USUAL_NAME.fullmatch(name) is not None


def unknown_field(source: str, path: tuple[str | int, ...]) -> FieldError:
    """Return the error about an unknown member or parameter; its name is repeated only if it looks like a name."""
    if not is_usual_name(str(path[-1])):
        what = "A member of the body" if source == "body" else "A parameter"
        return FieldError(source, path[:-1], f"{what} with an unusual name is not known here.", "unknown")
    return FieldError(source, path, f"{'.'.join(map(str, path))} is not known here.", "unknown")


def _discriminator(context: Mapping[str, Any]) -> str:
    """Return the JSON name of a union's discriminator: pydantic has "'a_b' | 'aB'"."""
    return str(context.get("discriminator", "")).rpartition(" ")[2].strip("'")


def _path(location: Sequence[str | int], sent: object) -> tuple[str | int, ...]:
    """Return the path of a member of *sent*: *location* without the tags of unions.

    Tags of the vendors' unions are in upper case ("NO_AUTH"), names of members are not. Other tags are the value
    of the discriminator of the object that *location* has reached.
    """
    path: list[str | int] = []
    is_entered = True
    for part in location:
        if is_entered and isinstance(sent, dict) and part == sent.get(_DISCRIMINATOR):
            is_entered = False
        elif not (isinstance(part, str) and part.isupper()):
            path.append(part)
            sent, is_entered = _below(sent, part), True
    return tuple(path)


def _below(sent: object, part: str | int) -> object:
    if isinstance(sent, dict):
        return sent.get(part)
    return sent[part] if isinstance(sent, list) and isinstance(part, int) and part < len(sent) else None


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
