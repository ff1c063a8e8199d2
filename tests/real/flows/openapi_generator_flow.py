"""Log in, configure, test and remove with the Python client that openapi-generator generated."""

import os
from typing import Any

import pytest
from openapi_client import ApiClient, Configuration
from openapi_client.api import CheckmarxLogInApi, CheckmarxSMTPSettingsApi, OracleAnalyticsMailServerApi
from openapi_client.exceptions import BadRequestException, NotFoundException
from openapi_client.models import (
    CreateSMTPSettingsModel,
    MailSender,
    MailServer,
    MailServerAuth,
    MailServerConnectionSecurity,
    MailServerNoAuth,
    MailServerTest,
    NoConnectionSecurity,
    TestConnectionModel,
    UpdateSMTPSettingsModel,
)

base, port = os.environ["BASE_URL"], int(os.environ["SMTP_PORT"])
host, sender, receiver = "127.0.0.1", "scans@example.org", "receiver@example.org"
where: dict[str, Any] = {"host": host, "port": port, "fromAddress": sender}

token = CheckmarxLogInApi(ApiClient(Configuration(base))).request_token(
    grant_type="password", username="admin", password=os.environ["PASSWORD"]
)
client = ApiClient(Configuration(base, access_token=token.access_token))

oracle = OracleAnalyticsMailServerApi(client)
with pytest.raises(NotFoundException) as missing:
    oracle.get_mail_server()
assert missing.value.data
assert missing.value.data.code == "NotFound"
server = MailServer(
    auth=MailServerAuth(MailServerNoAuth(authType="NO_AUTH")),
    connectionSecurity=MailServerConnectionSecurity(
        NoConnectionSecurity(connectionSecurityType="NO_CONNECTION_SECURITY")
    ),
    host=host,
    port=port,
    sender=MailSender(displayName="Reports", emailAddress=sender),
)
oracle.put_mail_server(server)
assert oracle.get_mail_server() == server
assert oracle.test_mail_server(mail_server_test=MailServerTest(recipient=receiver)).succeeded
oracle.delete_mail_server()

checkmarx = CheckmarxSMTPSettingsApi(client)
created = checkmarx.create_smtp_settings_with_http_info(CreateSMTPSettingsModel(**where))
assert created.headers
number = int(created.headers["location"].rpartition("/")[2])
assert [each.id for each in checkmarx.list_smtp_settings()] == [number]
checkmarx.update_smtp_settings(number, UpdateSMTPSettingsModel(**where, displayName="Scans"))
assert checkmarx.get_smtp_settings(number).display_name == "Scans"
checkmarx.test_smtp_connection(TestConnectionModel(**where, recieverEmail=receiver))
closed = {**where, "port": int(os.environ["CLOSED_PORT"])}
with pytest.raises(BadRequestException) as failed:
    checkmarx.test_smtp_connection(TestConnectionModel(**closed))
assert failed.value.data
assert failed.value.data.report.succeeded is False
checkmarx.delete_smtp_settings(number)
