"""Signatures by the Standard Webhooks specification."""

import pytest

from mailsettings.webhook.sender import parse_webhook_keys, signed_headers

# Of the specification's own libraries: the example that each of them is tested with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_specifications_example_has_the_same_signature() -> None:
    headers = signed_headers(
        parse_webhook_keys(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_two_secrets_give_two_signatures() -> None:
    plain = "a plain-text secret of 32 bytes!".replace(" ", "-")
    both = signed_headers(parse_webhook_keys(f"{SECRET} {plain}"), "msg_1", 1, b"{}")["webhook-signature"].split(
        " "
    )
    alone = signed_headers([plain.encode()], "msg_1", 1, b"{}")["webhook-signature"]

    assert both == [signed_headers(parse_webhook_keys(SECRET), "msg_1", 1, b"{}")["webhook-signature"], alone]


@pytest.mark.parametrize(
    "secret", ["", " ", "canary", "whsec_", "whsec_canary", "whsec_Y2FuYXJ5", f"{SECRET} canary", "x" * 65]
)
def test_an_invalid_secret_is_refused_without_echo(secret: str) -> None:
    with pytest.raises(ValueError, match=r"it must be 24 to 64 bytes|must be followed by base64") as refused:
        parse_webhook_keys(secret)

    assert "canary" not in str(refused.value)
