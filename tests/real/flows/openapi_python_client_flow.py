"""Log in, configure, test and remove with the client that openapi-python-client generated."""

import os

from generated import AuthenticatedClient, Client
from generated.api.checkmarx_log_in import request_token
from generated.api.checkmarx_smtp_settings import (
    create_smtp_settings,
    delete_smtp_settings,
    get_smtp_settings,
    list_smtp_settings,
    test_smtp_connection,
    update_smtp_settings,
)
from generated.api.oracle_analytics_mail_server import (
    delete_mail_server,
    get_mail_server,
    put_mail_server,
    test_mail_server,
)
from generated.models import (
    AccessTokenModel,
    ConnectionTestReport,
    CreateSMTPSettingsModel,
    Error,
    FailedTestModel,
    MailSender,
    MailServer,
    MailServerNoAuth,
    MailServerNoAuthAuthType,
    MailServerTest,
    NoConnectionSecurity,
    NoConnectionSecurityConnectionSecurityType,
    SMTPSettingsViewModel,
    TestConnectionModel,
    TokenRequest,
    TokenRequestGrantType,
    UpdateSMTPSettingsModel,
)

base, port = os.environ["BASE_URL"], int(os.environ["SMTP_PORT"])
host, sender, receiver = "127.0.0.1", "scans@example.org", "receiver@example.org"

login = TokenRequest(TokenRequestGrantType.PASSWORD, username="admin", password=os.environ["PASSWORD"])
token = request_token.sync(client=Client(base_url=base), body=login)
assert isinstance(token, AccessTokenModel)
client = AuthenticatedClient(base_url=base, token=token.access_token, raise_on_unexpected_status=True)

missing = get_mail_server.sync(client=client)
assert isinstance(missing, Error)
assert missing.code == "NotFound"
server = MailServer(
    auth=MailServerNoAuth(MailServerNoAuthAuthType.NO_AUTH),
    connection_security=NoConnectionSecurity(NoConnectionSecurityConnectionSecurityType.NO_CONNECTION_SECURITY),
    host=host,
    port=port,
    sender=MailSender("Reports", sender),
)
assert put_mail_server.sync_detailed(client=client, body=server).status_code == 200
shown = get_mail_server.sync_detailed(client=client)
assert shown.parsed == server
assert shown.headers["ETag"]
report = test_mail_server.sync(client=client, body=MailServerTest(receiver))
assert isinstance(report, ConnectionTestReport)
assert report.succeeded
assert delete_mail_server.sync_detailed(client=client).status_code == 200

created = create_smtp_settings.sync_detailed(client=client, body=CreateSMTPSettingsModel(sender, host, port))
assert created.status_code == 201
number = int(created.headers["Location"].rpartition("/")[2])
listed = list_smtp_settings.sync(client=client)
assert isinstance(listed, list)
assert [each.id for each in listed] == [number]
changed = UpdateSMTPSettingsModel(sender, host, port, display_name="Scans")
assert update_smtp_settings.sync_detailed(number, client=client, body=changed).status_code == 204
read = get_smtp_settings.sync(number, client=client)
assert isinstance(read, SMTPSettingsViewModel)
assert read.display_name == "Scans"
tried = TestConnectionModel(sender, host, port, reciever_email=receiver)
tested = test_smtp_connection.sync_detailed(client=client, body=tried)
assert (tested.status_code, tested.content) == (200, b"")
closed = TestConnectionModel(sender, host, int(os.environ["CLOSED_PORT"]))
failed = test_smtp_connection.sync(client=client, body=closed)
assert isinstance(failed, FailedTestModel)
assert failed.report
assert delete_smtp_settings.sync_detailed(number, client=client).status_code == 204
