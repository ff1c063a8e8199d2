import com.fasterxml.jackson.core.JsonProcessingException;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.ApiResponse;
import org.openapitools.client.api.ConnectionTestsApi;
import org.openapitools.client.api.LogInApi;
import org.openapitools.client.api.MailServersApi;
import org.openapitools.client.model.*;

/** The steps of `steps.txt` with the Java client that openapi-generator generated. */
public final class Flow {
    private static final String HOST = "127.0.0.1";
    private static final String PASSWORD = System.getenv("PASSWORD");
    private static final SenderInput SENDER = new SenderInput().address("reports@example.org").name("Reports");

    private interface Call {
        void run() throws ApiException;
    }

    public static void main(String[] arguments) throws ApiException, JsonProcessingException {
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("BASE_URL"));
        AccessToken token = new LogInApi(client).getToken("password", null, null, PASSWORD, "admin");
        say("log in: %s", token.getTokenType().getValue());
        client.setRequestInterceptor(
            request -> request.header("Authorization", "Bearer " + token.getAccessToken()));
        MailServersApi servers = new MailServersApi(client);
        create(servers);
        change(servers);
        test(new ConnectionTestsApi(client));
        list(servers);
        remove(servers);
    }

    private static void create(MailServersApi servers) throws ApiException, JsonProcessingException {
        NewMailServer relay = new NewMailServer()
            .name("relay").host(HOST).port(number("SMTP_PORT")).security(Security.NONE).sender(SENDER);
        ApiResponse<MailServerView> answer = servers.createMailServerWithHttpInfo(relay, null);
        MailServerView made = answer.getData();
        check(answer.getHeaders().get("location").get(0).endsWith("/v1/mail-servers/" + made.getId()));
        say("create relay: version %d, trust %s, login %s", made.getVersion(),
            made.getTrust().getSystemTrusted().getKind().getValue(),
            made.getAuthentication().getNoLogin().getKind().getValue());

        PasswordLoginInput byPassword = new PasswordLoginInput()
            .kind(PasswordLoginInput.KindEnum.PASSWORD).username("reports").password(PASSWORD);
        made = servers.createMailServer(new NewMailServer()
            .name("mailbox").host("smtp.example.org").sender(SENDER).authentication(new LoginInput(byPassword)), null);
        PasswordLogin shown = made.getAuthentication().getPasswordLogin();
        say("create mailbox: security %s, login %s as %s, stored %b", made.getSecurity().getValue(),
            shown.getKind().getValue(), shown.getUsername(), shown.getPassword().getStored());

        OAuth2LoginInput application = new OAuth2LoginInput()
            .kind(OAuth2LoginInput.KindEnum.OAUTH2_CLIENT_CREDENTIALS).username("reports@example.org")
            .tenant("example.org").clientId("5f0c0b5e").clientSecret(PASSWORD);
        made = servers.createMailServer(new NewMailServer()
            .name("tenant").host("smtp.example.com").sender(SENDER).authentication(new LoginInput(application)), null);
        OAuth2Login byToken = made.getAuthentication().getOAuth2Login();
        say("create tenant: login %s of %s, stored %b",
            byToken.getKind().getValue(), byToken.getTenant(), byToken.getClientSecret().getStored());

        refused("create relay again:", () -> servers.createMailServer(relay, null));
        NewMailServer wrong = new NewMailServer()
            .host("bad host").sender(SENDER).labels(Map.of("no name", "berlin"));
        refused("create with two wrong members:", () -> servers.createMailServer(wrong, null));
    }

    private static void change(MailServersApi servers) throws ApiException, JsonProcessingException {
        ApiResponse<MailServerView> found = servers.getMailServerWithHttpInfo("relay");
        MailServerView read = found.getData();
        say("read relay: %s %s %s",
            read.getHost(), read.getSender().getName(), read.getHealth().getState().getValue());
        String tag = found.getHeaders().get("etag").get(0);
        MailServerPatch patch = new MailServerPatch().description("Office").labels(Map.of("site", "berlin"));
        read = servers.updateMailServer("relay", patch, tag, null);
        say("patch relay: version %d, %s, site %s",
            read.getVersion(), read.getDescription(), read.getLabels().get("site"));
        refused("patch relay of an old version:", () -> servers.updateMailServer("relay", patch, tag, null));

        LoginInput kept = new LoginInput(
            new PasswordLoginInput().kind(PasswordLoginInput.KindEnum.PASSWORD).username("reports"));
        read = servers.replaceMailServer("mailbox", new MailServerReplacement()
            .host("smtp.example.org").sender(SENDER).description("Shared").authentication(kept), null, null);
        say("replace mailbox without its secret: version %d, stored %b", read.getVersion(),
            read.getAuthentication().getPasswordLogin().getPassword().getStored());
        servers.setDefaultMailServer(new DefaultChoice().name("relay"), null, null);
        say("choose the default: %s", servers.getDefaultMailServer().getName());
    }

    private static void test(ConnectionTestsApi tests) throws ApiException {
        ConnectionReport report = tests.testMailServer(
            "relay", null, new StoredTest().recipient("receiver@example.org"));
        ReportedStage last = report.getStages().get(report.getStages().size() - 1);
        say("test relay: %b, %s %s",
            report.getSucceeded(), last.getStage().getValue(), last.getOutcome().getValue());
        ConnectionInput closed = new ConnectionInput()
            .host(HOST).port(number("CLOSED_PORT")).security(Security.NONE).sender(SENDER);
        report = tests.testSettings(new SettingsTest().settings(closed), null);
        say("test a closed port: %b, %s at %s", report.getSucceeded(),
            report.getFailure().getCode().getValue(), report.getFailure().getStage());
    }

    private static void list(MailServersApi servers) throws ApiException {
        MailServerPage page = servers.listMailServers(2, null, null, null, null, null, null);
        say("list two: %s", names(page));
        page = servers.listMailServers(2, page.getNextCursor(), null, null, null, null, null);
        say("list the next: %s", names(page));
        check(page.getNextCursor() == null);
        say("list by label: %s",
            names(servers.listMailServers(null, null, null, List.of("site=berlin"), null, null, null)));
        List<MailServerVersionView> versions = servers.listMailServerVersions("relay", null, null).getItems();
        String changes = versions.get(0).getChanges().stream()
            .map(SettingChange::getField).collect(Collectors.joining(" "));
        say("versions of relay: %d %s, %d", versions.get(0).getVersion(), changes, versions.get(1).getVersion());
    }

    private static void remove(MailServersApi servers) throws ApiException, JsonProcessingException {
        refused("delete the default:", () -> servers.deleteMailServer("relay", null, null));
        servers.clearDefaultMailServer(null, null);
        refused("clear the default:", servers::getDefaultMailServer);
        for (String name : List.of("relay", "mailbox", "tenant")) {
            servers.deleteMailServer(name, null, null);
        }
        MailServerPage page = servers.listMailServers(null, null, null, null, null, null, null);
        say("delete all: %d left", page.getItems().size());
        refused("read relay:", () -> servers.getMailServer("relay"));
    }

    private static void refused(String step, Call call) throws JsonProcessingException {
        try {
            call.run();
        } catch (ApiException error) {
            Problem problem = ApiClient.createDefaultObjectMapper().readValue(error.getResponseBody(), Problem.class);
            StringBuilder said = new StringBuilder(step + " " + problem.getStatus() + " " + problem.getCode());
            if (problem.getErrors() != null) {
                problem.getErrors().forEach(each -> said.append(" ").append(each.getPointer()));
            }
            say("%s", said);
            return;
        }
        throw new AssertionError(step + " was accepted");
    }

    private static String names(MailServerPage page) {
        return page.getItems().stream().map(MailServerView::getName).collect(Collectors.joining(" "));
    }

    private static int number(String name) {
        return Integer.parseInt(System.getenv(name));
    }

    private static void say(String form, Object... values) {
        System.out.println(String.format(form, values));
    }

    private static void check(boolean holds) {
        if (!holds) {
            throw new AssertionError();
        }
    }
}
