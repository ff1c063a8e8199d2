"""Permissions."""

import pytest

from mailsettings.domain.access import OPERATOR, Permission, Principal, new_name_problem
from mailsettings.domain.errors import PermissionDenied


@pytest.mark.parametrize("permission", Permission)
def test_a_principal_can_do_only_what_its_permissions_allow(permission: Permission) -> None:
    reader = Principal("reader", frozenset({Permission.MAIL_SERVERS_READ}))

    OPERATOR.require(permission)
    if permission is Permission.MAIL_SERVERS_READ:
        reader.require(permission)
    else:
        with pytest.raises(PermissionDenied, match=permission):
            reader.require(permission)


def test_permissions_are_kept_in_alphabetical_order() -> None:
    assert sorted(Permission) == list(Permission)


@pytest.mark.parametrize("name", ["issuer|alice", "operator:root", "watch", "", "x" * 256, "a\nb"])
def test_names_of_others_are_no_names_of_accounts(name: str) -> None:
    assert new_name_problem(name) is not None


def test_other_printable_names_are_names_of_accounts() -> None:
    assert new_name_problem("Alice Müller") is None
