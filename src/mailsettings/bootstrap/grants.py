"""Which APIs there are, and what their names for permissions allow."""

from mailsettings.dialects import DIALECTS
from mailsettings.domain.access import Grants
from mailsettings.site.audit import AUDIT
from mailsettings.site.metrics import METRICS

APIS = (*DIALECTS, AUDIT, METRICS)
"""The vendors', and our own."""
GRANTS: Grants = {name: allowed for api in APIS for name, allowed in api.grants.items()}
"""Every name that an organisation can give to permissions."""
