// Log in, configure, test and remove with openapi-fetch and the types that openapi-typescript generated.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/schema";

const baseUrl = process.env["BASE_URL"]!;
const port = Number(process.env["SMTP_PORT"]);
const [host, fromAddress, receiver] = ["127.0.0.1", "scans@example.org", "receiver@example.org"];
const where = { host, port, fromAddress, encryptionType: "None" as const, useDefaultCredentials: false };

async function main(): Promise<void> {
  const { data: token } = await createClient<paths>({ baseUrl }).POST("/cxrestapi/auth/identity/connect/token", {
    body: { grant_type: "password", username: "admin", password: process.env["PASSWORD"]!, scope: "" },
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
  });
  assert.ok(token);
  const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token.access_token}` } });

  const missing = await client.GET("/api/20210901/system/mail/server");
  assert.equal(missing.error?.code, "NotFound");
  const server: components["schemas"]["MailServer"] = {
    host,
    port,
    sender: { displayName: "Reports", emailAddress: fromAddress },
    auth: { authType: "NO_AUTH" },
    connectionSecurity: { connectionSecurityType: "NO_CONNECTION_SECURITY" },
  };
  const put = await client.PUT("/api/20210901/system/mail/server", { body: server, parseAs: "text" });
  assert.equal(put.response.status, 200);
  const shown = await client.GET("/api/20210901/system/mail/server");
  assert.deepEqual(shown.data, server);
  const report = await client.POST("/api/20210901/system/mail/server/actions/test", { body: { recipient: receiver } });
  assert.equal(report.data?.succeeded, true);
  const removed = await client.DELETE("/api/20210901/system/mail/server");
  assert.equal(removed.response.status, 200);

  const created = await client.POST("/cxrestapi/auth/SMTPSettings", { body: where });
  assert.equal(created.response.status, 201);
  const id = Number(created.response.headers.get("Location")!.split("/").pop());
  const path = { id };
  const listed = await client.GET("/cxrestapi/auth/SMTPSettings");
  assert.deepEqual(listed.data?.map((each) => each.id), [id]);
  const body = { ...where, displayName: "Scans" };
  const updated = await client.PUT("/cxrestapi/auth/SMTPSettings/{id}", { params: { path }, body });
  assert.equal(updated.response.status, 204);
  const read = await client.GET("/cxrestapi/auth/SMTPSettings/{id}", { params: { path } });
  assert.equal(read.data?.displayName, "Scans");
  const tested = await client.POST("/cxrestapi/auth/SMTPSettings/testconnection", {
    body: { ...where, recieverEmail: receiver },
  });
  assert.equal(tested.response.status, 200);
  const failed = await client.POST("/cxrestapi/auth/SMTPSettings/testconnection", {
    body: { ...where, port: Number(process.env["CLOSED_PORT"]) },
  });
  assert.ok(failed.error?.message);
  const deleted = await client.DELETE("/cxrestapi/auth/SMTPSettings/{id}", { params: { path } });
  assert.equal(deleted.response.status, 204);
}

void main();
