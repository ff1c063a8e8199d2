// The documentation page: all operations of all APIs, with a login that works from here.
"use strict";

// Calls go to the address that this page was opened at. The document may name another one, and the page's
// Content-Security-Policy and the browser's same-origin policy let the page call no other.
function atThisAddress(spec) {
  const here = new URL(".", window.location.href).href.replace(/\/$/, "");
  const named = spec.servers[0].url.replace(/\/$/, "");
  const flow = spec.components.securitySchemes.account.flows.password;
  flow.tokenUrl = here + flow.tokenUrl.slice(named.length);
  spec.servers = [{ url: here }];
  return spec;
}

fetch("openapi.json")
  .then((answer) => answer.json())
  .then((spec) => {
    window.ui = SwaggerUIBundle({
      spec: atThisAddress(spec),
      dom_id: "#docs",
      deepLinking: true,
      docExpansion: "list",
      defaultModelsExpandDepth: 0,
      displayRequestDuration: true,
      persistAuthorization: false,
      validatorUrl: null,
    });
  });
