"""The options that callers of sendmail pass, as Postfix, sendmail and msmtp document them."""

import pytest

from mailsettings.sendmail.arguments import parse
from mailsettings.sendmail.failure import USAGE, Failed

CALLS = {
    "sendmail -t -i": ("m", True, False, None, []),
    "sendmail -i -FCronDaemon -B8BITMIME -oem root": ("m", False, False, None, ["root"]),
    "sendmail -oi -f a@x.test -- b@x.test -t": ("m", False, False, "a@x.test", ["b@x.test", "-t"]),
    "sendmail -ti -ra@x.test": ("m", True, False, "a@x.test", []),
    "sendmail -i b@x.test c@x.test": ("m", False, False, None, ["b@x.test", "c@x.test"]),
    "sendmail b@x.test -v -oQ/tmp -odb -OTimeout=3 -N never -R hdrs -V id": ("m", False, True, None, ["b@x.test"]),
    "sendmail -bm -em -G -n -h 3 b@x.test": ("m", False, True, None, ["b@x.test"]),
    "sendmail -bs": ("s", False, True, None, []),
    "sendmail -bp": ("p", False, True, None, []),
    "sendmail -q": ("p", False, True, None, []),
    "sendmail -q15m": ("p", False, True, None, []),
    "/usr/bin/mailq": ("p", False, True, None, []),
    "newaliases": ("i", False, True, None, []),
}


@pytest.mark.parametrize("line", CALLS)
def test_options_of_callers_are_understood(line: str) -> None:
    name, *words = line.split(" ")
    found = parse(name, words)

    assert CALLS[line] == (found.mode, found.reads_recipients, found.dot_ends, found.sender, found.recipients)


def test_a_value_may_be_empty_or_the_next_word() -> None:
    found = parse("sendmail", ["-f", "", "-F", "Web one", "-C", "file"])

    assert (found.sender, found.full_name, found.config) == ("", "Web one", "file")


@pytest.mark.parametrize("words", [["-f"], ["-y"], ["-bd"], ["-bt"], ["--help"], ["-iZ"]])
def test_wrong_use_is_refused(words: list[str]) -> None:
    with pytest.raises(Failed) as raised:
        parse("sendmail", words)

    assert raised.value.code == USAGE
