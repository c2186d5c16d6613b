import { render } from "preact";

import "uplot/dist/uPlot.min.css";
import "./style/tokens.css";
import "./style/base.css";
import "./style/shell.css";
import "./style/parts.css";
import "./style/tables.css";
import "./style/forms.css";
import "./style/charts.css";
import "./style/overview.css";
import "./style/exchange.css";
import "./style/office.css";
import "./style/gateway.css";
import "./style/narrow.css";

import { App } from "./app/app.tsx";
import { startRouter } from "./app/router.ts";
import { look } from "./app/session.ts";
import { startTheme } from "./app/theme.ts";

startTheme();
startRouter();
void look();
render(<App />, document.getElementById("app")!);
