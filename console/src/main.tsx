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

render(<App />, document.body);
