"""Permissions."""

import pytest

from mailsettings.domain.access import OPERATOR, Permission, Principal
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
