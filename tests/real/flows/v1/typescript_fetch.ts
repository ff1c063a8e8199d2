// The steps of `steps.txt` with the TypeScript client that openapi-generator generated.
import assert from "node:assert/strict";
import {
  Configuration,
  ConnectionTestsApi,
  LogInApi,
  MailServerPage,
  MailServersApi,
  NewMailServer,
  ProblemFromJSON,
  ResponseError,
} from "./generated";

const basePath = process.env["BASE_URL"]!;
const port = Number(process.env["SMTP_PORT"]);
const password = process.env["PASSWORD"]!;
const host = "127.0.0.1";
const sender = { address: "reports@example.org", name: "Reports" };

async function refused(step: string, call: Promise<unknown>): Promise<void> {
  const error = await call.then(
    () => assert.fail(`${step} was accepted`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ResponseError);
  const problem = ProblemFromJSON(await error.response.json());
  console.log(step, problem.status, problem.code, ...(problem.errors ?? []).map((each) => each.pointer));
}

async function main(): Promise<void> {
  const token = await new LogInApi(new Configuration({ basePath })).getToken({
    grantType: "password",
    username: "admin",
    password,
  });
  console.log(`log in: ${token.tokenType}`);
  const settings = new Configuration({ basePath, accessToken: token.accessToken });
  const servers = new MailServersApi(settings);
  const tests = new ConnectionTestsApi(settings);

  const newMailServer: NewMailServer = { name: "relay", host, port, security: "none", sender };
  const made = await servers.createMailServerRaw({ newMailServer });
  const { id, version, trust, authentication } = await made.value();
  assert.ok(made.raw.headers.get("Location")?.endsWith(`/v1/mail-servers/${id}`));
  console.log(`create relay: version ${version}, trust ${trust.kind}, login ${authentication.kind}`);
  const mailbox = await servers.createMailServer({
    newMailServer: {
      name: "mailbox",
      host: "smtp.example.org",
      sender,
      authentication: { kind: "password", username: "reports", password },
    },
  });
  const byPassword = mailbox.authentication;
  assert.ok(byPassword.kind === "password");
  console.log(
    `create mailbox: security ${mailbox.security}, login ${byPassword.kind} as ${byPassword.username},`,
    `stored ${byPassword.password.stored}`,
  );
  const tenant = await servers.createMailServer({
    newMailServer: {
      name: "tenant",
      host: "smtp.example.com",
      sender,
      authentication: {
        kind: "oauth2_client_credentials",
        username: "reports@example.org",
        tenant: "example.org",
        clientId: "5f0c0b5e",
        clientSecret: password,
      },
    },
  });
  const byToken = tenant.authentication;
  assert.ok(byToken.kind === "oauth2_client_credentials");
  console.log(`create tenant: login ${byToken.kind} of ${byToken.tenant}, stored ${byToken.clientSecret.stored}`);
  await refused("create relay again:", servers.createMailServer({ newMailServer }));
  const wrong = { host: "bad host", sender, labels: { "no name": "berlin" } };
  await refused("create with two wrong members:", servers.createMailServer({ newMailServer: wrong }));

  const found = await servers.getMailServerRaw({ ref: "relay" });
  const read = await found.value();
  console.log(`read relay: ${read.host} ${read.sender.name} ${read.health.state}`);
  const mailServerPatch = { description: "Office", labels: { site: "berlin" } };
  const patch = { ref: "relay", mailServerPatch, ifMatch: found.raw.headers.get("ETag")! };
  const { description, labels, ...patched } = await servers.updateMailServer(patch);
  console.log(`patch relay: version ${patched.version}, ${description}, site ${labels["site"]}`);
  await refused("patch relay of an old version:", servers.updateMailServer(patch));
  const replaced = await servers.replaceMailServer({
    ref: "mailbox",
    mailServerReplacement: {
      host: "smtp.example.org",
      sender,
      description: "Shared",
      authentication: { kind: "password", username: "reports" },
    },
  });
  assert.ok(replaced.authentication.kind === "password");
  const { stored } = replaced.authentication.password;
  console.log(`replace mailbox without its secret: version ${replaced.version}, stored ${stored}`);
  await servers.setDefaultMailServer({ defaultChoice: { name: "relay" } });
  console.log(`choose the default: ${(await servers.getDefaultMailServer()).name}`);

  const passed = await tests.testMailServer({ ref: "relay", storedTest: { recipient: "receiver@example.org" } });
  const last = passed.stages.at(-1);
  console.log(`test relay: ${passed.succeeded}, ${last?.stage} ${last?.outcome}`);
  const closed = { host, port: Number(process.env["CLOSED_PORT"]), security: "none" as const, sender };
  const failed = await tests.testSettings({ settingsTest: { settings: closed } });
  console.log(`test a closed port: ${failed.succeeded}, ${failed.failure?.code} at ${failed.failure?.stage}`);

  const names = (page: MailServerPage) => page.items.map((each) => each.name).join(" ");
  const two = await servers.listMailServers({ limit: 2 });
  console.log(`list two: ${names(two)}`);
  assert.ok(two.nextCursor);
  const next = await servers.listMailServers({ limit: 2, cursor: two.nextCursor });
  console.log(`list the next: ${names(next)}`);
  assert.equal(next.nextCursor, null);
  console.log(`list by label: ${names(await servers.listMailServers({ label: ["site=berlin"] }))}`);
  const [newest, first] = (await servers.listMailServerVersions({ ref: "relay" })).items;
  const changes = newest?.changes?.map((change) => change.field).join(" ");
  console.log(`versions of relay: ${newest?.version} ${changes}, ${first?.version}`);

  await refused("delete the default:", servers.deleteMailServer({ ref: "relay" }));
  await servers.clearDefaultMailServer();
  await refused("clear the default:", servers.getDefaultMailServer());
  for (const ref of ["relay", "mailbox", "tenant"]) await servers.deleteMailServer({ ref });
  console.log(`delete all: ${(await servers.listMailServers()).items.length} left`);
  await refused("read relay:", servers.getMailServer({ ref: "relay" }));
}

void main();
