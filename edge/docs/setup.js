"use strict";

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  filter: true,
  tryItOutEnabled: true,
  requestSnippetsEnabled: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelExpandDepth: 2,
  defaultModelsExpandDepth: 0,
  // A key is for this page, until it is closed.
  persistAuthorization: false,
  // No other host is told what is read here.
  validatorUrl: null,
});
