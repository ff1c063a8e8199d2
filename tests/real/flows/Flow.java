import java.util.List;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.CheckmarxLogInApi;
import org.openapitools.client.api.CheckmarxSmtpSettingsApi;
import org.openapitools.client.api.OracleAnalyticsMailServerApi;
import org.openapitools.client.model.*;

/** Log in, configure, test and remove with the Java client that openapi-generator generated. */
public final class Flow {
    private static final String HOST = "127.0.0.1";
    private static final String SENDER = "scans@example.org";
    private static final String RECEIVER = "receiver@example.org";
    private static final int PORT = Integer.parseInt(System.getenv("SMTP_PORT"));

    private interface Call {
        void run() throws ApiException;
    }

    public static void main(String[] arguments) throws ApiException {
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("BASE_URL"));
        AccessTokenModel token = new CheckmarxLogInApi(client)
            .requestToken("password", null, null, System.getenv("PASSWORD"), null, null, "admin");
        client.setRequestInterceptor(
            request -> request.header("Authorization", "Bearer " + token.getAccessToken()));
        oracle(new OracleAnalyticsMailServerApi(client));
        checkmarx(new CheckmarxSmtpSettingsApi(client));
    }

    private static void oracle(OracleAnalyticsMailServerApi api) throws ApiException {
        expect(404, () -> api.getMailServer(null, null));
        MailServer server = new MailServer()
            .host(HOST)
            .port(PORT)
            .sender(new MailSender().displayName("Reports").emailAddress(SENDER))
            .auth(new MailServerAuth(new MailServerNoAuth().authType(MailServerNoAuth.AuthTypeEnum.NO_AUTH)))
            .connectionSecurity(new MailServerConnectionSecurity(new NoConnectionSecurity().connectionSecurityType(
                NoConnectionSecurity.ConnectionSecurityTypeEnum.NO_CONNECTION_SECURITY)));
        api.putMailServer(server, null, null);
        check(server.equals(api.getMailServer(null, null)));
        check(api.testMailServer(null, new MailServerTest().recipient(RECEIVER)).getSucceeded());
        api.deleteMailServer(null, null);
    }

    private static void checkmarx(CheckmarxSmtpSettingsApi api) throws ApiException {
        api.createSmtpSettings(new CreateSMTPSettingsModel().host(HOST).port(PORT).fromAddress(SENDER), null);
        List<SMTPSettingsViewModel> listed = api.listSmtpSettings();
        check(listed.size() == 1);
        int id = listed.get(0).getId();
        UpdateSMTPSettingsModel changed = new UpdateSMTPSettingsModel().host(HOST).port(PORT).fromAddress(SENDER);
        api.updateSmtpSettings(id, changed.displayName("Scans"), null, null);
        check("Scans".equals(api.getSmtpSettings(id, null, null).getDisplayName()));
        TestConnectionModel test = new TestConnectionModel().host(HOST).port(PORT).fromAddress(SENDER);
        api.testSmtpConnection(test.recieverEmail(RECEIVER), null, null);
        int closed = Integer.parseInt(System.getenv("CLOSED_PORT"));
        expect(400, () -> api.testSmtpConnection(
            new TestConnectionModel().host(HOST).port(closed).fromAddress(SENDER), null, null));
        api.deleteSmtpSettings(id, null, null);
    }

    private static void expect(int status, Call call) {
        try {
            call.run();
        } catch (ApiException error) {
            check(error.getCode() == status);
            return;
        }
        throw new AssertionError("expected the status " + status);
    }

    private static void check(boolean holds) {
        if (!holds) {
            throw new AssertionError();
        }
    }
}
