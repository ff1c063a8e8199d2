"""The names of permissions: each permission can be given, and the first account has all."""

import pytest

from mailsettings.bootstrap.use_cases import APIS, GRANTS
from mailsettings.cli.serving.start import FIRST_ADMIN
from mailsettings.domain.access import MEANINGS, Permission, permissions_of

from support.service import Caller


def test_the_first_account_has_all_permissions() -> None:
    assert permissions_of(FIRST_ADMIN.grants, GRANTS) == frozenset(Permission)


def test_each_permission_can_be_given_and_is_explained() -> None:
    assert permissions_of(GRANTS, GRANTS) == frozenset(Permission) == frozenset(MEANINGS)


def test_a_name_means_the_same_in_every_api() -> None:
    """Merging the names of all APIs would otherwise give more or less than an API shows."""
    assert [api.name for api in APIS for name, allowed in api.grants.items() if GRANTS[name] != allowed] == []


@pytest.mark.parametrize("kind", ["sqlite"])
async def test_a_403_of_v1_names_what_can_be_granted(api: Caller) -> None:
    answer = await api("stranger").send("GET", "/v1/mail-servers")

    assert answer.json()["detail"] == "This needs the permission manage-system-settings or view-mail-settings."
