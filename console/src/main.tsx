import { render } from "preact";
import { App } from "./app";
import { applyTheme } from "./shell/theme";
import "./style/base.css";
import "./style/parts.css";
import "./style/shell.css";

applyTheme();
render(<App />, document.body);
