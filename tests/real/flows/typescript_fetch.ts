// Log in, configure, test and remove with the TypeScript client that openapi-generator generated.
import assert from "node:assert/strict";
import {
  CheckmarxLogInApi,
  CheckmarxSMTPSettingsApi,
  Configuration,
  MailServer,
  OracleAnalyticsMailServerApi,
  ResponseError,
} from "./generated";

const basePath = process.env["BASE_URL"]!;
const port = Number(process.env["SMTP_PORT"]);
const [host, fromAddress, receiver] = ["127.0.0.1", "scans@example.org", "receiver@example.org"];
const where = { host, port, fromAddress };

async function statusOf(call: Promise<unknown>): Promise<number> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ResponseError) return error.response.status;
    throw error;
  }
  return 200;
}

async function main(): Promise<void> {
  const token = await new CheckmarxLogInApi(new Configuration({ basePath })).requestToken({
    grantType: "password",
    username: "admin",
    password: process.env["PASSWORD"]!,
  });
  const settings = new Configuration({ basePath, accessToken: token.accessToken });

  const oracle = new OracleAnalyticsMailServerApi(settings);
  assert.equal(await statusOf(oracle.getMailServer()), 404);
  const mailServer: MailServer = {
    host,
    port,
    sender: { displayName: "Reports", emailAddress: fromAddress },
    auth: { authType: "NO_AUTH" },
    connectionSecurity: { connectionSecurityType: "NO_CONNECTION_SECURITY" },
  };
  await oracle.putMailServer({ mailServer });
  assert.deepEqual(await oracle.getMailServer(), mailServer);
  assert.equal((await oracle.testMailServer({ mailServerTest: { recipient: receiver } })).succeeded, true);
  await oracle.deleteMailServer();

  const checkmarx = new CheckmarxSMTPSettingsApi(settings);
  const created = await checkmarx.createSmtpSettingsRaw({ createSMTPSettingsModel: where });
  const id = Number(created.raw.headers.get("Location")!.split("/").pop());
  assert.deepEqual((await checkmarx.listSmtpSettings()).map((each) => each.id), [id]);
  await checkmarx.updateSmtpSettings({ id, updateSMTPSettingsModel: { ...where, displayName: "Scans" } });
  assert.equal((await checkmarx.getSmtpSettings({ id })).displayName, "Scans");
  await checkmarx.testSmtpConnection({ testConnectionModel: { ...where, recieverEmail: receiver } });
  const closed = { ...where, port: Number(process.env["CLOSED_PORT"]) };
  assert.equal(await statusOf(checkmarx.testSmtpConnection({ testConnectionModel: closed })), 400);
  await checkmarx.deleteSmtpSettings({ id });
}

void main();
