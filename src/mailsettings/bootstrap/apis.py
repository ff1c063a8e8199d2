"""List all APIs, and the permissions that they name."""

from mailsettings.dialects import DIALECTS
from mailsettings.domain.access import Grants
from mailsettings.site.audit import AUDIT
from mailsettings.site.metrics import METRICS

APIS = (*DIALECTS, AUDIT, METRICS)
"""The vendors' APIs, and this service's own."""
GRANTS: Grants = {name: allowed for api in APIS for name, allowed in api.grants.items()}
"""All names of permissions, with what they allow."""
SINGLE_SERVER_APIS = [api.single_server_name for api in DIALECTS if api.single_server_name]
"""The command line's names of the APIs that show the default mail server alone."""
