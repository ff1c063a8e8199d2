"""The vendors' APIs we speak, one folder each. To add one: its folder, and its name here."""

from mailsettings.dialects.checkmarx import CHECKMARX
from mailsettings.dialects.oracle_analytics import ORACLE_ANALYTICS
from mailsettings.web.dialect import Dialect

DIALECTS: tuple[Dialect, ...] = (ORACLE_ANALYTICS, CHECKMARX)
