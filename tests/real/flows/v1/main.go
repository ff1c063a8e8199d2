// The steps of `steps.txt` with the Go client that openapi-generator generated.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"v1"
)

const (
	host     = "127.0.0.1"
	receiver = "receiver@example.org"
)

var (
	background = context.Background()
	password   = os.Getenv("PASSWORD")
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func require(holds bool, what string) {
	if !holds {
		panic(what)
	}
}

func number(name string) int32 {
	value, err := strconv.Atoi(os.Getenv(name))
	check(err)
	return int32(value)
}

func connect(token string) *v1.APIClient {
	settings := v1.NewConfiguration()
	settings.Servers = v1.ServerConfigurations{{URL: os.Getenv("BASE_URL")}}
	if token != "" {
		settings.AddDefaultHeader("Authorization", "Bearer "+token)
	}
	return v1.NewAPIClient(settings)
}

func refused(step string, err error) {
	var answer *v1.GenericOpenAPIError
	require(errors.As(err, &answer), step+" was accepted")
	problem, decoded := answer.Model().(v1.Problem)
	require(decoded, step+" has no problem")
	said := []string{strconv.Itoa(int(problem.Status)), problem.Code}
	for _, each := range problem.Errors {
		said = append(said, each.GetPointer())
	}
	fmt.Println(step, strings.Join(said, " "))
}

func sender() v1.SenderInput {
	made := v1.NewSenderInput("reports@example.org")
	made.SetName("Reports")
	return *made
}

func names(page *v1.MailServerPage) string {
	found := []string{}
	for _, each := range page.Items {
		found = append(found, each.Name)
	}
	return strings.Join(found, " ")
}

func main() {
	token, _, err := connect("").LogInAPI.GetToken(background).
		GrantType("password").Username("admin").Password(password).Execute()
	check(err)
	fmt.Println("log in:", token.GetTokenType())
	client := connect(token.AccessToken)
	create(client.MailServersAPI)
	change(client.MailServersAPI)
	test(client.ConnectionTestsAPI)
	list(client.MailServersAPI)
	remove(client.MailServersAPI)
}

func create(servers *v1.MailServersAPIService) {
	from := sender()
	relay := v1.NewNewMailServer(host, from)
	relay.SetName("relay")
	relay.SetPort(number("SMTP_PORT"))
	relay.SetSecurity(v1.SECURITY_NONE)
	made, answer, err := servers.CreateMailServer(background).NewMailServer(*relay).Execute()
	check(err)
	address := fmt.Sprintf("/v1/mail-servers/%d", made.Id)
	require(strings.HasSuffix(answer.Header.Get("Location"), address), "no location")
	trust, login := made.Trust.SystemTrusted, made.Authentication.NoLogin
	fmt.Printf("create relay: version %d, trust %s, login %s\n", made.Version, trust.Kind, login.Kind)

	byPassword := v1.NewPasswordLoginInput("password", "reports")
	byPassword.SetPassword(password)
	mailbox := v1.NewNewMailServer("smtp.example.org", from)
	mailbox.SetName("mailbox")
	mailbox.SetAuthentication(v1.PasswordLoginInputAsLoginInput(byPassword))
	made, _, err = servers.CreateMailServer(background).NewMailServer(*mailbox).Execute()
	check(err)
	shown := made.Authentication.PasswordLogin
	fmt.Printf("create mailbox: security %s, login %s as %s, stored %t\n",
		made.Security, shown.Kind, shown.Username, shown.Password.Stored)

	application := v1.NewOAuth2LoginInput("5f0c0b5e", "oauth2_client_credentials", "example.org", "reports@example.org")
	application.SetClientSecret(password)
	tenant := v1.NewNewMailServer("smtp.example.com", from)
	tenant.SetName("tenant")
	tenant.SetAuthentication(v1.OAuth2LoginInputAsLoginInput(application))
	made, _, err = servers.CreateMailServer(background).NewMailServer(*tenant).Execute()
	check(err)
	byToken := made.Authentication.OAuth2Login
	fmt.Printf("create tenant: login %s of %s, stored %t\n", byToken.Kind, byToken.Tenant, byToken.ClientSecret.Stored)

	_, _, err = servers.CreateMailServer(background).NewMailServer(*relay).Execute()
	refused("create relay again:", err)
	wrong := v1.NewNewMailServer("bad host", from)
	wrong.SetLabels(map[string]string{"no name": "berlin"})
	_, _, err = servers.CreateMailServer(background).NewMailServer(*wrong).Execute()
	refused("create with two wrong members:", err)
}

func change(servers *v1.MailServersAPIService) {
	read, answer, err := servers.GetMailServer(background, "relay").Execute()
	check(err)
	fmt.Println("read relay:", read.Host, read.Sender.GetName(), read.Health.State)
	tag := answer.Header.Get("ETag")
	patch := v1.NewMailServerPatch()
	patch.SetDescription("Office")
	site := "berlin"
	patch.SetLabels(map[string]*string{"site": &site})
	read, _, err = servers.UpdateMailServer(background, "relay").MailServerPatch(*patch).IfMatch(tag).Execute()
	check(err)
	fmt.Printf("patch relay: version %d, %s, site %s\n", read.Version, read.GetDescription(), read.Labels["site"])
	_, _, err = servers.UpdateMailServer(background, "relay").MailServerPatch(*patch).IfMatch(tag).Execute()
	refused("patch relay of an old version:", err)

	kept := v1.NewPasswordLoginInput("password", "reports")
	replacement := v1.NewMailServerReplacement("smtp.example.org", sender())
	replacement.SetDescription("Shared")
	replacement.SetAuthentication(v1.PasswordLoginInputAsLoginInput(kept))
	read, _, err = servers.ReplaceMailServer(background, "mailbox").MailServerReplacement(*replacement).Execute()
	check(err)
	stored := read.Authentication.PasswordLogin.Password.Stored
	fmt.Printf("replace mailbox without its secret: version %d, stored %t\n", read.Version, stored)

	choice := v1.NewDefaultChoice()
	choice.SetName("relay")
	_, _, err = servers.SetDefaultMailServer(background).DefaultChoice(*choice).Execute()
	check(err)
	read, _, err = servers.GetDefaultMailServer(background).Execute()
	check(err)
	fmt.Println("choose the default:", read.Name)
}

func test(tests *v1.ConnectionTestsAPIService) {
	options := v1.NewStoredTest()
	options.SetRecipient(receiver)
	report, _, err := tests.TestMailServer(background, "relay").StoredTest(*options).Execute()
	check(err)
	last := report.Stages[len(report.Stages)-1]
	fmt.Printf("test relay: %t, %s %s\n", report.Succeeded, last.Stage, last.Outcome)

	closed := v1.NewConnectionInput(host, sender())
	closed.SetPort(number("CLOSED_PORT"))
	closed.SetSecurity(v1.SECURITY_NONE)
	report, _, err = tests.TestSettings(background).SettingsTest(*v1.NewSettingsTest(*closed)).Execute()
	check(err)
	fmt.Printf("test a closed port: %t, %s at %s\n", report.Succeeded, report.Failure.Code, report.Failure.Stage)
}

func list(servers *v1.MailServersAPIService) {
	page, _, err := servers.ListMailServers(background).Limit(2).Execute()
	check(err)
	fmt.Println("list two:", names(page))
	page, _, err = servers.ListMailServers(background).Limit(2).Cursor(page.GetNextCursor()).Execute()
	check(err)
	fmt.Println("list the next:", names(page))
	require(!page.NextCursor.IsSet() || page.NextCursor.Get() == nil, "a third page")
	page, _, err = servers.ListMailServers(background).Label([]string{"site=berlin"}).Execute()
	check(err)
	fmt.Println("list by label:", names(page))
	versions, _, err := servers.ListMailServerVersions(background, "relay").Execute()
	check(err)
	fields := []string{}
	for _, each := range versions.Items[0].Changes {
		fields = append(fields, each.Field)
	}
	newest, first := versions.Items[0].Version, versions.Items[1].Version
	fmt.Printf("versions of relay: %d %s, %d\n", newest, strings.Join(fields, " "), first)
}

func remove(servers *v1.MailServersAPIService) {
	_, err := servers.DeleteMailServer(background, "relay").Execute()
	refused("delete the default:", err)
	_, err = servers.ClearDefaultMailServer(background).Execute()
	check(err)
	_, _, err = servers.GetDefaultMailServer(background).Execute()
	refused("clear the default:", err)
	for _, name := range []string{"relay", "mailbox", "tenant"} {
		_, err = servers.DeleteMailServer(background, name).Execute()
		check(err)
	}
	page, _, err := servers.ListMailServers(background).Execute()
	check(err)
	fmt.Printf("delete all: %d left\n", len(page.Items))
	_, _, err = servers.GetMailServer(background, "relay").Execute()
	refused("read relay:", err)
}
