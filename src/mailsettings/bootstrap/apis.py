"""Which APIs there are, and what their names for permissions allow."""

from mailsettings.dialects import DIALECTS
from mailsettings.domain.access import Grants
from mailsettings.site.audit import AUDIT
from mailsettings.site.metrics import METRICS

APIS = (*DIALECTS, AUDIT, METRICS)
"""The vendors', and our own."""
GRANTS: Grants = {name: allowed for api in APIS for name, allowed in api.grants.items()}
"""Every name that an organisation can give to permissions."""
SINGLE_SERVER_APIS = [api.single_server_name for api in DIALECTS if api.single_server_name]
"""The command line's names of the APIs that show the default mail server alone."""
