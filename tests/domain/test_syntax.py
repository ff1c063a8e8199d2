"""Which texts, host names, mail addresses and URLs are accepted."""

import pytest

from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import (
    is_secure_url,
    normalised_host,
    require_host,
    require_mail_address,
    require_printable,
)

# Each reaches 127.0.0.1 or fails late in a resolver, though ipaddress does not take it for an address.
DECEPTIVE_HOSTS = [
    *(
        "127.1",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "127.0.00.1",
        "0",
        "0x7f000001",
        "1.2.3.4.5",
        "127.0.0.1.",
    ),
    *(
        "127。0。0。1",
        "①②⑦.0.0.1",
        "127.0.0.1\u200b",
        "straße.de",
        "a..b",
        ".a",
        "",
        " ",
        "a b",
        "-a.de",
        "a-.de",
    ),
    *(
        "a" * 64 + ".de",
        "a." * 130 + "de",
        "[::1]",
        "::1%eth0",
        "host:25",
        "http://host",
        "a\0b",
        "a\r\nb",
        "a/b",
    ),
]


GOOD_HOSTS = [
    *("a", "mail-server.com", "mail.example.org.", "10.0.0.1", "::1", "2001:db8::7", "my_relay"),
    *("xn--strae-oqa.de", "3com.example", "mail.1X"),
]


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_host_name_or_address_in_usual_form_is_accepted(host: str) -> None:
    require_host(host)


@pytest.mark.parametrize("host", DECEPTIVE_HOSTS, ids=lambda text: ascii(text).replace("\\", "%"))
def test_anything_else_is_not_a_host(host: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        require_host(host)

    assert refused.value.setting is Setting.HOST


@pytest.mark.parametrize("address", ["a@b", "name@example.org", "o'neil+tag@mail.example.org", "a.b@localhost"])
def test_a_plain_mail_address_is_accepted(address: str) -> None:
    require_mail_address(Setting.RECIPIENT, address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "",
            "a",
            "@b",
            "a@",
            "a@b>\r\nRCPT TO:<evil",
            "a@b,c@d",
            "@relay:b@x",
            "b@x NOTIFY=NEVER",
            '"b c"@x',
        ),
        *(
            "Bob <a@b.org>",
            "<a@b>",
            "a..b@c",
            ".a@b",
            "a@b.",
            "a@[127.0.0.1]",
            "ä@b",
            "a@ü.de",
            "a\0@b",
            "a@b\u202e",
        ),
        *("a" * 65 + "@b", "a@" + "b." * 130 + "de"),
    ],
    ids=lambda text: ascii(text).replace("\\", "%"),
)
def test_address_that_is_unsafe_in_an_envelope_is_refused(address: str) -> None:
    with pytest.raises(InvalidSetting):
        require_mail_address(Setting.RECIPIENT, address)


@pytest.mark.parametrize(
    "text",
    ["\0", "a\rb", "a\nb", "\x7f", "\x85", "\u2028", "\u2029", "\ud800", "\x0b"],
    ids=lambda text: ascii(text).replace("\\", "%"),
)
def test_control_characters_and_lone_surrogates_are_refused_everywhere(text: str) -> None:
    with pytest.raises(InvalidSetting):
        require_printable(Setting.USERNAME, text)


@pytest.mark.parametrize(
    "text", [" leading and trailing ", "“quotes”", "naïve", "日本語", "👍🏽", "a'b\"c\\d"], ids=range(6)
)
def test_any_other_text_is_accepted(text: str) -> None:
    require_printable(Setting.PASSWORD, text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Example.COM", "example.com", True),
        ("example.com.", "example.com", False),
        ("2001:DB8:0::7", "2001:db8::7", True),
        ("example.com", "example.co", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::7", "2001:db8::8", False),
        ("example.com", "www.example.com", False),
    ],
)
def test_two_spellings_of_one_host_are_equal_after_normalisation(one: str, other: str, same: bool) -> None:
    assert same == (normalised_host(one) == normalised_host(other))


AT_THE_BOUND = ".".join(["a" * 63] * 3 + ["b" * 61])
INTERNATIONAL = "write an international name in its xn-- form, or the plain letter if one is meant."
NOT_A_HOST = "is not a host name or IP address."


def test_a_host_name_has_at_most_253_characters() -> None:
    require_host(AT_THE_BOUND)

    with pytest.raises(InvalidSetting):
        require_host(f"{AT_THE_BOUND}b")


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        (
            "b\u00fccher.example",
            f"has LATIN SMALL LETTER U WITH DIAERESIS (U+00FC) at place 2; {INTERNATIONAL}",
        ),
        ("a b", f"{NOT_A_HOST[:-1]}: it has SPACE (U+0020) at place 2."),
        ("mail\u00a0.example", f"{NOT_A_HOST[:-1]}: it has NO-BREAK SPACE (U+00A0) at place 5."),
        ("\u200bmail.example", f"{NOT_A_HOST[:-1]}: it has ZERO WIDTH SPACE (U+200B) at place 1."),
        (
            "mail.example:587",
            f"{NOT_A_HOST[:-1]}: it has COLON (U+003A) at place 13. Give the port in its own setting.",
        ),
        (
            "smtp://mail.example",
            f"{NOT_A_HOST[:-1]}: it has COLON (U+003A) at place 5. Give the name alone, without a scheme.",
        ),
        (f"{AT_THE_BOUND}b", NOT_A_HOST),
        ("mail.127", "must be a host name or an IP address in its usual form."),
        ("mail.0x7f.", "must be a host name or an IP address in its usual form."),
    ],
    ids=[
        *("not ASCII", "a space", "a no-break space", "an invisible one", "with its port", "as an address"),
        "too long",
        "a number at the end",
        "a number and a dot at the end",
    ],
)
def test_a_refused_host_says_what_is_wrong(host: str, problem: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        require_host(host)

    assert (refused.value.setting, refused.value.problem) == (Setting.HOST, problem)


@pytest.mark.parametrize("local", ["a" * 64, "b"], ids=["the longest local part", "a short one"])
def test_a_mail_address_is_limited_as_in_envelopes(local: str) -> None:
    domain = ".".join(["a" * 63] * 4)[: 254 - len(local) - 1]
    require_mail_address(Setting.RECIPIENT, f"{local}@{domain}")

    for longer in (f"{local}@{domain}a", f"{'a' * 65}@b"):
        with pytest.raises(InvalidSetting):
            require_mail_address(Setting.RECIPIENT, longer)


@pytest.mark.parametrize("setting", [Setting.RECIPIENT, Setting.SENDER_ADDRESS])
def test_a_refused_text_names_its_setting(setting: Setting) -> None:
    with pytest.raises(InvalidSetting) as address:
        require_mail_address(setting, "a")
    with pytest.raises(InvalidSetting) as text:
        require_printable(setting, "\0")

    assert (address.value.setting, text.value.setting) == (setting, setting)
    assert address.value.problem == "is not a plain mail address like name@example.org."
    assert text.value.problem == "must not contain control characters or line breaks."


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
def test_https_and_local_http_urls_are_secure(url: str) -> None:
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
def test_every_other_url_is_insecure(url: str) -> None:
    assert not is_secure_url(url)
