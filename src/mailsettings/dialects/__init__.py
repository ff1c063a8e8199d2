"""The APIs that this service speaks, one folder each: the vendors', and our own in `v1`.

A new dialect is a folder and an entry here.
"""

from mailsettings.dialects.checkmarx import CHECKMARX
from mailsettings.dialects.oracle_analytics import ORACLE_ANALYTICS
from mailsettings.dialects.v1 import V1
from mailsettings.web.dialect import Dialect

DIALECTS: tuple[Dialect, ...] = (ORACLE_ANALYTICS, CHECKMARX, V1)
