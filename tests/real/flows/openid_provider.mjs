// A certified OpenID provider with one API, a person's client, and two machines. Arguments: library, port.
import { generateKeyPairSync } from "node:crypto";

const [library, port] = process.argv.slice(2);
const { Provider } = await import(library);
const issuer = `http://127.0.0.1:${port}`;
const AUDIENCE = "mail-settings";

function key(type, options, alg) {
  const jwk = generateKeyPairSync(type, options).privateKey.export({ format: "jwk" });
  return { ...jwk, alg, use: "sig", kid: alg };
}

const machine = { grant_types: ["client_credentials"], response_types: [], redirect_uris: [] };
const provider = new Provider(issuer, {
  jwks: { keys: [key("rsa", { modulusLength: 2048 }, "RS256"), key("ec", { namedCurve: "P-384" }, "ES384")] },
  clients: [
    { client_id: "web", client_secret: "web-secret", redirect_uris: ["https://app.example.org/back"] },
    { ...machine, client_id: "reader", client_secret: "reader-secret" },
    { ...machine, client_id: "stranger", client_secret: "stranger-secret" },
  ],
  cookies: { keys: ["some secret of this process"] },
  claims: { openid: ["sub"] },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  // The roles of people; machines have scopes.
  extraTokenClaims: (_ctx, token) => (token.accountId === "alice" ? { roles: ["mail-admin"] } : undefined),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource, client) => ({
        scope: "mail:read",
        audience: resource === "urn:mail-settings" ? AUDIENCE : "another-api",
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: client.clientId === "web" ? "RS256" : "ES384" } },
      }),
    },
  },
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
