// Log in, configure, test and remove with the client that orval generated.
import assert from "node:assert/strict";
import {
  createSmtpSettings,
  deleteMailServer,
  deleteSmtpSettings,
  getMailServer,
  getSmtpSettings,
  listSmtpSettings,
  putMailServer,
  requestToken,
  testMailServer,
  testSmtpConnection,
  updateSmtpSettings,
} from "./generated/client";
import type { MailServer } from "./generated/client";

const port = Number(process.env["SMTP_PORT"]);
const [host, fromAddress, receiver] = ["127.0.0.1", "scans@example.org", "receiver@example.org"];
const where = { host, port, fromAddress };

// The generated functions ask the page's own host, which a program has not.
const original = globalThis.fetch;
globalThis.fetch = (path, options) => original(`${process.env["BASE_URL"]!}${String(path)}`, options);

async function main(): Promise<void> {
  const token = await requestToken({ grant_type: "password", username: "admin", password: process.env["PASSWORD"]! });
  assert.ok(token.status === 200);
  const as = { headers: { Authorization: `Bearer ${token.data.access_token}` } };

  assert.equal((await getMailServer(as)).status, 404);
  const server: MailServer = {
    host,
    port,
    sender: { displayName: "Reports", emailAddress: fromAddress },
    auth: { authType: "NO_AUTH" },
    connectionSecurity: { connectionSecurityType: "NO_CONNECTION_SECURITY" },
  };
  assert.equal((await putMailServer(server, as)).status, 200);
  assert.deepEqual((await getMailServer(as)).data, server);
  const report = await testMailServer({ recipient: receiver }, as);
  assert.ok(report.status === 200 && report.data.succeeded);
  assert.equal((await deleteMailServer(as)).status, 200);

  const created = await createSmtpSettings(where, as);
  assert.equal(created.status, 201);
  const id = Number(created.headers.get("Location")!.split("/").pop());
  const listed = await listSmtpSettings(as);
  assert.ok(listed.status === 200);
  assert.deepEqual(listed.data.map((each) => each.id), [id]);
  assert.equal((await updateSmtpSettings(id, { ...where, displayName: "Scans" }, as)).status, 204);
  const read = await getSmtpSettings(id, as);
  assert.ok(read.status === 200 && read.data.displayName === "Scans");
  assert.equal((await testSmtpConnection({ ...where, recieverEmail: receiver }, as)).status, 200);
  const failed = await testSmtpConnection({ ...where, port: Number(process.env["CLOSED_PORT"]) }, as);
  assert.ok(failed.status === 400 && failed.data.message);
  assert.equal((await deleteSmtpSettings(id, as)).status, 204);
}

void main();
