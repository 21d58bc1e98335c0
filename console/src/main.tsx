import { render } from "preact";
import { App } from "./app";
import { applyTheme } from "./shell/theme";
import "./style/base.css";
import "./style/parts.css";
import "./style/shell.css";
import "./style/keys.css";
import "./style/servers.css";
import "./style/operations.css";
import "./style/server-data.css";
import "./style/audit.css";
import "./style/account.css";

applyTheme();

// A newer console was deployed, and a part of this one is there no more.
addEventListener("vite:preloadError", () => location.reload());

function show(): void {
  render(<App />, document.body);
}

// The browser may keep a page that was left, and bring it back as it was: then it holds nothing.
addEventListener("pagehide", () => render(null, document.body));
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) show();
});

show();
