"""The prober of these tests is a real one."""

import pytest

from mailsettings.smtp.prober import SMTPProber

from support.probers import MakeProber


@pytest.fixture
def prober(make_prober: MakeProber) -> SMTPProber:
    return make_prober()
