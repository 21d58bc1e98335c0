"use strict";

// A page cannot set the session's cookie, and need not: after Login the browser sends it.
const withoutCookies = () => ({
  statePlugins: {
    auth: {
      wrapSelectors: {
        definitionsToAuthorize: (original) => (...state) =>
          original(...state)?.filter((scheme) => scheme.first().get("in") !== "cookie"),
      },
    },
  },
});

// Each field of this dialog takes the focus when it is shown, so that the last one would have it.
const focusOnFirst = ({ React }) => ({
  wrapComponents: {
    authorizationPopup: (Original) => (props) => {
      React.useEffect(() => document.querySelector(".auth-container input")?.focus(), []);
      return React.createElement(Original, props);
    },
  },
});

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  plugins: [withoutCookies, focusOnFirst],
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
