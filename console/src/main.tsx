import { render } from "preact";
import { App } from "./app.tsx";
import { startRouter } from "./router.ts";
import { startSession } from "./session.ts";
import { applyTheme } from "./theme.ts";
import "./style.css";

applyTheme();
startRouter();
void startSession();
render(<App />, document.getElementById("app")!);
