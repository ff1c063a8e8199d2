"""A secret appears only where the code reveals it."""

import copy
import pickle
import re
import traceback
from collections.abc import Callable

import pytest

from mailsettings.domain.errors import SecretUnreadable
from mailsettings.domain.mail_server import PasswordAuthentication
from mailsettings.domain.values import MASK, Secret, is_mask, is_same_secret

CANARY = "CANARY-8c1b1f52"


def test_a_secret_does_not_appear_in_any_text() -> None:
    secret = Secret(CANARY)
    login = PasswordAuthentication("alice", secret)

    shown = f"{secret} {secret!r} {login} {[secret]} {vars(type(secret))}"

    assert CANARY not in shown
    assert MASK in shown


def test_a_secret_does_not_appear_in_a_traceback() -> None:
    def fail(_secret: Secret) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError) as failed:
        fail(Secret(CANARY))
    text = "".join(traceback.TracebackException.from_exception(failed.value, capture_locals=True).format())

    assert CANARY not in text.replace(repr(CANARY), "")


@pytest.mark.parametrize("take_out", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_a_secret_cannot_be_pickled(take_out: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError, match=r"^a secret is not copied out of the process$"):
        take_out(Secret(CANARY))


def test_a_sealed_secret_is_decrypted_only_on_request() -> None:
    opened: list[str] = []

    def opener() -> str:
        opened.append("once")
        return CANARY

    secret = Secret.sealed(opener, "label")

    assert (secret.is_sealed, Secret(CANARY).is_sealed) == (True, False)
    assert opened == []
    assert secret.reveal() == CANARY
    assert opened == ["once"]


def test_secrets_are_equal_by_their_text() -> None:
    assert Secret("a") == Secret.sealed(lambda: "a", "label")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert hash(Secret("a")) == hash(Secret.sealed(lambda: "a", "label")) != hash(Secret("b"))


@pytest.mark.parametrize(
    ("text", "masked"),
    [("*" * 10, True), ("***", True), ("•••••", True), ("", False), ("*a*", False), ("p•*", False)],
)
def test_a_mask_is_recognized(text: str, masked: bool) -> None:
    assert masked == is_mask(text)


def test_each_given_secret_has_a_new_label() -> None:
    labels = [Secret(CANARY).label for _ in range(100)]

    assert len(set(labels)) == 100
    assert all(re.fullmatch("[0-9a-f]{12}", label) for label in labels)


def test_a_secret_is_the_same_by_its_label_alone() -> None:
    stored = Secret.sealed(damaged, "label")

    assert is_same_secret(stored, Secret.sealed(lambda: "b", "label"))
    assert is_same_secret(None, None)
    assert not is_same_secret(Secret.sealed(lambda: "a", "label"), Secret("a"))
    assert not is_same_secret(stored, None)
    assert not is_same_secret(None, stored)


def damaged() -> str:
    raise SecretUnreadable
