"""The vendors' APIs that this service speaks, one folder each; a new dialect is a folder and an entry here."""

from mailsettings.dialects.checkmarx import CHECKMARX
from mailsettings.dialects.oracle_analytics import ORACLE_ANALYTICS
from mailsettings.web.dialect import Dialect

DIALECTS: tuple[Dialect, ...] = (ORACLE_ANALYTICS, CHECKMARX)
