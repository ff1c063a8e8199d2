"""Presets: complete, valid as mail servers once filled in, and with a source for every fact."""

import re
from datetime import date
from urllib.parse import urlsplit

import pytest

from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.mail_server import MailServer, Sender
from mailsettings.domain.presets import PRESETS, Preset, blanks_in, filled, smtp_password
from mailsettings.domain.values import Secret

by_name = pytest.mark.parametrize("preset", PRESETS, ids=[preset.name for preset in PRESETS])


def examples(preset: Preset) -> dict[str, str]:
    return {blank.name: blank.example for blank in preset.blanks}


def test_the_most_used_providers_have_a_preset() -> None:
    names = [preset.name for preset in PRESETS]

    assert len(names) == len(set(names))
    assert {
        *("microsoft365", "google", "amazon-ses", "sendgrid", "mailgun", "postmark", "brevo", "mailjet"),
        *("zoho", "fastmail", "azure-communication-services", "smtp2go"),
    } <= set(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


@by_name
def test_every_blank_is_explained_and_used(preset: Preset) -> None:
    used = {name for text in preset.texts for name in blanks_in(text)} | {"sender"}

    assert {blank.name for blank in preset.blanks} == used
    assert [
        blank.name for blank in preset.blanks if blank.is_secret and (blank.default or blank.name == "sender")
    ] == []


@by_name
def test_a_filled_preset_is_a_valid_server(preset: Preset) -> None:
    values = examples(preset)
    server = MailServer(filled(preset.host, values), preset.port, preset.security, Sender(values["sender"]))

    assert "{" not in server.host
    assert preset.security != "none"


@by_name
def test_defaults_of_a_host_are_valid(preset: Preset) -> None:
    defaults = {blank.name: blank.default for blank in preset.blanks if blank.default}
    host = filled(preset.host, defaults)

    assert MailServer(host, preset.port, preset.security, Sender("reports@example.com")).host == host


def test_an_open_blank_in_a_host_is_refused() -> None:
    preset = next(preset for preset in PRESETS if preset.name == "amazon-ses")

    with pytest.raises(InvalidSetting):
        MailServer(preset.host, preset.port, preset.security, Sender("reports@example.com"))


@by_name
def test_every_preset_names_its_sources(preset: Preset) -> None:
    assert preset.sources
    for source in preset.sources:
        assert urlsplit(source.url).scheme == "https"
        assert date(2026, 1, 1) <= source.read_on <= date.today()  # noqa: DTZ011  # a day of the calendar


@by_name
def test_every_preset_says_what_to_do_first(preset: Preset) -> None:
    assert preset.steps
    assert preset.refusals
    assert not [text for text in preset.steps if not text.endswith(".")]


# From the tests of HashiCorp's Terraform provider for AWS, internal/service/iam/access_key_test.go: passwords of a
# second implementation, which logs in to Amazon SES.
DERIVED = [
    ("eu-central-1", "some+secret+key", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
    ("eu-central-1", "another+secret+key", "BBbphbrQmrKMx42d1N6+C7VINYEBGI5v9VsZeTxwskfh"),
    ("us-west-1", "some+secret+key", "BH+jbMzper5WwlwUar9E1ySBqHa9whi0GPo+sJ0mVYJj"),
    ("us-west-1", "another+secret+key", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"),
]


@pytest.mark.parametrize(("region", "key", "password"), DERIVED)
def test_amazon_ses_passwords_match_a_known_implementation(region: str, key: str, password: str) -> None:
    derived = smtp_password(Secret(key), region)

    assert derived.reveal() == password
    assert password not in repr(derived)


@pytest.mark.parametrize("region", ["", "EU-CENTRAL-1", "eu central 1", "eu-central-1\n", "{region}", "frankfurt"])
def test_a_malformed_aws_region_is_refused(region: str) -> None:
    with pytest.raises(ValueError, match="region"):
        smtp_password(Secret("some+secret+key"), region)
