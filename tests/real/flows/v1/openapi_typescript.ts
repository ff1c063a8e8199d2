// The steps of `steps.txt` with openapi-fetch and the types that openapi-typescript generated.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/schema";

// Without these the type of a report is also that of its events.
type Media = "application/json" | "application/problem+json";
type Problem = components["schemas"]["Problem"];

const baseUrl = process.env["BASE_URL"]!;
const port = Number(process.env["SMTP_PORT"]);
const password = process.env["PASSWORD"]!;
const host = "127.0.0.1";
const sender = { address: "reports@example.org", name: "Reports" };

function refused(step: string, problem: Problem | undefined): void {
  assert.ok(problem);
  console.log(step, problem.status, problem.code, ...(problem.errors ?? []).map((error) => error.pointer));
}

async function main(): Promise<void> {
  const { data: token } = await createClient<paths>({ baseUrl }).POST("/v1/token", {
    body: { grant_type: "password", username: "admin", password },
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
  });
  assert.ok(token);
  console.log(`log in: ${token.token_type}`);
  const client = createClient<paths, Media>({ baseUrl, headers: { Authorization: `Bearer ${token.access_token}` } });

  const relay: components["schemas"]["NewMailServer"] = { name: "relay", host, port, security: "none", sender };
  const made = await client.POST("/v1/mail-servers", { body: relay });
  assert.ok(made.data);
  assert.ok(made.response.headers.get("Location")?.endsWith(`/v1/mail-servers/${made.data.id}`));
  const { version, trust, authentication } = made.data;
  console.log(`create relay: version ${version}, trust ${trust.kind}, login ${authentication.kind}`);
  const { data: mailbox } = await client.POST("/v1/mail-servers", {
    body: {
      name: "mailbox",
      host: "smtp.example.org",
      sender,
      authentication: { kind: "password", username: "reports", password },
    },
  });
  assert.ok(mailbox?.authentication.kind === "password");
  const byPassword = mailbox.authentication;
  console.log(
    `create mailbox: security ${mailbox.security}, login ${byPassword.kind} as ${byPassword.username},`,
    `stored ${byPassword.password.stored}`,
  );
  const { data: tenant } = await client.POST("/v1/mail-servers", {
    body: {
      name: "tenant",
      host: "smtp.example.com",
      sender,
      authentication: {
        kind: "oauth2_client_credentials",
        username: "reports@example.org",
        tenant: "example.org",
        client_id: "5f0c0b5e",
        client_secret: password,
      },
    },
  });
  assert.ok(tenant?.authentication.kind === "oauth2_client_credentials");
  const byToken = tenant.authentication;
  console.log(`create tenant: login ${byToken.kind} of ${byToken.tenant}, stored ${byToken.client_secret.stored}`);
  refused("create relay again:", (await client.POST("/v1/mail-servers", { body: relay })).error);
  const wrong = { host: "bad host", sender, labels: { "no name": "berlin" } };
  refused("create with two wrong members:", (await client.POST("/v1/mail-servers", { body: wrong })).error);

  const ref = (name: string) => ({ path: { ref: name } });
  const read = await client.GET("/v1/mail-servers/{ref}", { params: ref("relay") });
  assert.ok(read.data);
  console.log(`read relay: ${read.data.host} ${read.data.sender.name} ${read.data.health.state}`);
  const old = { ...ref("relay"), header: { "If-Match": read.response.headers.get("ETag")! } };
  const patch = {
    params: old,
    body: { description: "Office", labels: { site: "berlin" } },
    headers: { "Content-Type": "application/merge-patch+json" },
  };
  const { data: patched } = await client.PATCH("/v1/mail-servers/{ref}", patch);
  assert.ok(patched);
  const { description, labels } = patched;
  console.log(`patch relay: version ${patched.version}, ${description}, site ${labels["site"]}`);
  refused("patch relay of an old version:", (await client.PATCH("/v1/mail-servers/{ref}", patch)).error);
  const { data: replaced } = await client.PUT("/v1/mail-servers/{ref}", {
    params: ref("mailbox"),
    body: {
      host: "smtp.example.org",
      sender,
      description: "Shared",
      authentication: { kind: "password", username: "reports" },
    },
  });
  assert.ok(replaced?.authentication.kind === "password");
  const { stored } = replaced.authentication.password;
  console.log(`replace mailbox without its secret: version ${replaced.version}, stored ${stored}`);
  await client.PUT("/v1/mail-servers/default", { body: { name: "relay" } });
  console.log(`choose the default: ${(await client.GET("/v1/mail-servers/default")).data?.name}`);

  const { data: passed } = await client.POST("/v1/mail-servers/{ref}/test", {
    params: ref("relay"),
    body: { recipient: "receiver@example.org" },
  });
  const last = passed?.stages.at(-1);
  console.log(`test relay: ${passed?.succeeded}, ${last?.stage} ${last?.outcome}`);
  const { data: failed } = await client.POST("/v1/tests", {
    body: { settings: { host, port: Number(process.env["CLOSED_PORT"]), security: "none", sender } },
  });
  console.log(`test a closed port: ${failed?.succeeded}, ${failed?.failure?.code} at ${failed?.failure?.stage}`);

  const names = (page: components["schemas"]["MailServerPage"] | undefined) =>
    page?.items.map((each) => each.name).join(" ");
  const { data: two } = await client.GET("/v1/mail-servers", { params: { query: { limit: 2 } } });
  console.log(`list two: ${names(two)}`);
  assert.ok(two?.next_cursor);
  const query = { limit: 2, cursor: two.next_cursor };
  const { data: next } = await client.GET("/v1/mail-servers", { params: { query } });
  console.log(`list the next: ${names(next)}`);
  assert.equal(next?.next_cursor, null);
  const { data: labelled } = await client.GET("/v1/mail-servers", { params: { query: { label: ["site=berlin"] } } });
  console.log(`list by label: ${names(labelled)}`);
  const { data: versions } = await client.GET("/v1/mail-servers/{ref}/versions", { params: ref("relay") });
  const [newest, first] = versions!.items;
  const changes = newest?.changes?.map((change) => change.field).join(" ");
  console.log(`versions of relay: ${newest?.version} ${changes}, ${first?.version}`);

  const remove = (name: string) => client.DELETE("/v1/mail-servers/{ref}", { params: ref(name) });
  refused("delete the default:", (await remove("relay")).error);
  assert.equal((await client.DELETE("/v1/mail-servers/default")).response.status, 204);
  refused("clear the default:", (await client.GET("/v1/mail-servers/default")).error);
  for (const name of ["relay", "mailbox", "tenant"]) assert.equal((await remove(name)).response.status, 204);
  console.log(`delete all: ${(await client.GET("/v1/mail-servers")).data?.items.length} left`);
  refused("read relay:", (await client.GET("/v1/mail-servers/{ref}", { params: ref("relay") })).error);
}

void main();
