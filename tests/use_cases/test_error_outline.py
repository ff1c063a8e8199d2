"""What the log shows of an unexpected error."""

from mailsettings.use_cases.lease import outline

FIRST, SECOND = "canary-1", "canary-2"


def fail() -> None:
    raise ValueError(FIRST)


def fail_because_of_it() -> None:
    try:
        fail()
    except ValueError as cause:
        raise RuntimeError(SECOND) from cause


def caught() -> Exception:
    try:
        fail_because_of_it()
    except RuntimeError as error:
        return error
    raise AssertionError


def test_outline_has_every_cause_and_place_but_no_message() -> None:
    said = outline(caught())

    assert said.index("in fail\n") < said.index("ValueError") < said.index("which led to:")
    assert said.endswith("RuntimeError")
    assert "canary" not in said


def test_an_outline_of_a_group_has_each_error() -> None:
    group = ExceptionGroup("canary", [caught(), KeyError("canary")])

    said = outline(group)
    assert "ExceptionGroup\n" in said
    assert "in fail_because_of_it\n" in said
    assert said.endswith("KeyError")
    assert "canary" not in said
