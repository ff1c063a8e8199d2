"""One sentence for each kind of finding: it names the member as the caller wrote it, and never the value."""

from typing import Annotated, Any, Literal

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, StrictBool, StrictInt, TypeAdapter, ValidationError, field_validator

from mailsettings.web.body import HOST, member_names, request_error
from mailsettings.web.request_errors import ParameterInvalid, ParameterMissing

from support.canary import Canary


class Cat(BaseModel):
    kind: Literal["CAT"]
    lives: Annotated[StrictInt, Field(ge=1, le=9)]


class Dog(BaseModel):
    kind: Literal["DOG"]
    name: Annotated[str, Field(min_length=2, max_length=4)]


class Fish(BaseModel):
    body_plan: Annotated[Literal["FISH"], Field(alias="bodyPlan")]


class Bird(BaseModel):
    body_plan: Annotated[Literal["BIRD"], Field(alias="bodyPlan")]


class Zoo(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    guest: Annotated[Fish | Bird, Field(discriminator="body_plan")] | None = None
    open: StrictBool = True
    size: int = 1
    colour: Literal["red", "green"] = "red"
    tags: Annotated[list[str], Field(min_length=0, max_length=1)] = []
    words: dict[str, str] = {}
    day: Annotated[str, Field(pattern="^[a-z]+$")] = "x"

    @field_validator("day")
    @classmethod
    def _no_sunday(cls, day: str) -> str:
        if day == "sunday":
            raise ValueError("must not be a Sunday.")
        return day


CAT = {"kind": "CAT", "lives": 9}
PLANTED = Canary(plain=True)
WRONG: list[tuple[Any, str]] = [
    ({"pet": {"kind": "DOG", "name": 1}}, "pet.name must be a string."),
    ({"pet": {"kind": "DOG", "name": "x"}}, "pet.name must have at least 2 characters."),
    ({"pet": {"kind": "DOG", "name": PLANTED.secret}}, "pet.name must have at most 4 characters."),
    ({"pet": {"kind": "CAT", "lives": PLANTED.secret}}, "pet.lives must be a whole number."),
    ({"pet": {"kind": "CAT", "lives": 0}}, "pet.lives must be at least 1."),
    ({"pet": {"kind": "CAT", "lives": 10}}, "pet.lives must be at most 9."),
    ({"pet": {"kind": PLANTED.secret}}, "pet.kind must be one of 'CAT', 'DOG'."),
    ({"pet": PLANTED.secret}, "pet must be an object."),
    ({"pet": CAT, "open": PLANTED.secret}, "open must be true or false."),
    ({"pet": CAT, "size": PLANTED.secret}, "size must be a whole number."),
    ({"pet": CAT, "size": 1.5}, "size must be a whole number."),
    ({"pet": CAT, "colour": PLANTED.secret}, "colour must be 'red' or 'green'."),
    ({"pet": CAT, "words": PLANTED.secret}, "words must be an object."),
    ({"pet": CAT, "day": "sunday"}, "day must not be a Sunday."),
    ({"pet": CAT, "day": PLANTED.secret}, "day has a value that is not accepted."),
    (PLANTED.secret, "The body must be an object."),
    (
        {"pet": {"kind": "DOG"}, "open": PLANTED.secret, "size": PLANTED.secret, "day": "sunday"},
        "pet.name is missing. open must be true or false. size must be a whole number. day must not be a Sunday.",
    ),
]


def refused(body: Any) -> Exception:
    """Return the error for pydantic's findings in FastAPI's form."""
    with pytest.raises(ValidationError) as invalid:
        TypeAdapter(Zoo).validate_python(body)
    findings = [{**found, "loc": ("body", *found["loc"])} for found in invalid.value.errors()]
    return request_error(RequestValidationError(findings))


@pytest.mark.parametrize(("body", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_a_wrong_value_is_named_and_not_repeated(body: Any, sentence: str) -> None:
    problem = refused(body)

    assert isinstance(problem, ParameterInvalid)
    assert str(problem) == sentence
    PLANTED.assert_nowhere(str(problem))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "pet is missing."),
        ({"pet": {}}, "pet.kind is missing."),
        ({"pet": {"kind": "CAT"}}, "pet.lives is missing."),
        ({"pet": CAT, "guest": {}}, "guest.bodyPlan is missing."),
    ],
)
def test_a_missing_member_is_named_by_its_path(body: Any, sentence: str) -> None:
    problem = refused(body)

    assert isinstance(problem, ParameterMissing)
    assert str(problem) == sentence


def test_all_missing_members_are_named_at_once() -> None:
    problem = refused({"guest": {}})

    assert isinstance(problem, ParameterMissing)
    assert str(problem) == "pet is missing. guest.bodyPlan is missing."


def test_the_names_of_all_members_are_those_in_json() -> None:
    assert member_names(Zoo) == {
        *("pet", "kind", "lives", "name", "guest", "bodyplan", "open", "size", "colour", "tags", "words", "day")
    }


def test_a_setting_is_checked_by_the_rule_of_the_domain() -> None:
    host: TypeAdapter[str | None] = TypeAdapter(Annotated[str | None, HOST])

    assert [host.validate_python(given) for given in ("mail.example.org", "", None)] == [
        "mail.example.org",
        "",
        None,
    ]
    with pytest.raises(ValidationError, match="is not a host name"):
        host.validate_python("mail example org")
