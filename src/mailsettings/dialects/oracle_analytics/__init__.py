"""The mail server of Oracle Analytics Cloud's REST API, version 20210901.

One mail server, discriminated unions for its login and its encryption, errors as `{code, message}`.
Source: "System: Mail Server" in the vendor's REST API reference.
"""

from mailsettings.dialects.oracle_analytics.errors import STYLE
from mailsettings.dialects.oracle_analytics.routes import TAG, router
from mailsettings.domain.access import ALL_MAIL_SERVER_PERMISSIONS
from mailsettings.web.dialect import Dialect
from mailsettings.web.normalization import paths_below

ORACLE_ANALYTICS = Dialect(
    name="oracle-analytics",
    title="Oracle Analytics style",
    description="The mail server settings of the Oracle Analytics Cloud REST API, version 20210901.",
    routers=[router],
    errors=STYLE,
    match_path=paths_below("/api/20210901"),
    # The vendor requires the application role BI Service Administrator for everything below /system.
    grants={"bi-service-administrator": ALL_MAIL_SERVER_PERMISSIONS},
    tags={TAG: "Read, change and test the one mail server, as the Oracle Analytics Cloud API does."},
    # The vendor's SDKs send this header, and show its value from the response in their errors.
    request_id_header="opc-request-id",
    single_server_name="oracle",
)
