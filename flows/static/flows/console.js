/* The console's script: loads the modules of its pages. Every page works without it. */
import "./navigation.js";
import "./clipboard.js";
import "./marks.js";
import "./changes.js";
import "./keys.js";
import "./groups.js";
import { watchFlow } from "./live_flow.js";
import { watchList } from "./live_list.js";
import { one } from "./page.js";

const badge = one("#live");
if (badge && "list" in badge.dataset) watchList(badge.dataset.socket);
else if (badge && badge.dataset.flow) watchFlow(badge.dataset.socket, badge.dataset.partial);
