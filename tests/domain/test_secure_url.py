"""Which addresses can be believed."""

import pytest

from mailsettings.domain.secure_url import is_secure_url


@pytest.mark.parametrize(
    "url",
    [
        "https://idp.example.org",
        "https://idp.example.org:8443/realms/mail?p=sign-in",
        "https://idp.example.org/XX",
        "http://127.0.0.1:8080/",
        "http://127.9.9.9",
        "http://[::1]:8080",
        "http://localhost",
    ],
)
def test_https_and_this_machine_are_secure(url: str) -> None:
    assert is_secure_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("", "idp.example.org", "//idp.example.org", "https://", "https:///path", "https://:443"),
        *("http://idp.example.org", "http://10.0.0.1", "http://127.0.0.1.example.org", "http://localhost.example"),
        *("http://127.1", "http://2130706433", "http://0", "http://[::ffff:10.0.0.1]", "http://[::1"),
        # A zone or an escape in the host: loopback to one reader, another interface or name to the next.
        *("http://[::1%25eth0]", "http://[::1%eth0]", "http://[::1%25]", "https://[::1%25eth0]:8443/x"),
        *("https://[fe80::1%25eth0]", "http://localhos%74", "https://idp%2eexample.org", "http://127.0.0.1%2f"),
        *("ftp://127.0.0.1", "file:///etc/passwd", "https://127.0.0.1:port", "https://127.0.0.1:99999"),
        *("https://user@idp.example.org", "https://idp.example.org#part", "https://idp.example.org/a b"),
        *(
            "https://idp.example.org\\@127.0.0.1",
            "https://idp.example.org/\r\nX: y",
            "https://b\u00fccher.example",
        ),
    ],
)
def test_nothing_else_is(url: str) -> None:
    assert not is_secure_url(url)
