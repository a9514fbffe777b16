/* The table of keys. It acts, and it fills the help sheet; docs/console.md repeats it. */
import { jump } from "./changes.js";
import { copyNearest } from "./clipboard.js";
import { compareMarked, markHere } from "./marks.js";
import {
  choose, goBack, hasRows, hasTabs, openChosen, openTab, pin, resend, search, turnTab,
} from "./navigation.js";
import { element, one, press } from "./page.js";
import { togglePeek } from "./peek.js";

/* `keys` do `act`, which gets the key; `when` says on which pages. The sheet shows `shown`, or else the keys. */
const KEYS = [
  { keys: ["j", "k"], says: "next, previous flow", act: step },
  {
    keys: ["ArrowDown", "ArrowUp"],
    shown: ["↓", "↑"],
    says: "next, previous row of a list",
    act: (key) => choose(key === "ArrowDown" ? 1 : -1),
    when: hasRows,
  },
  {
    keys: ["ArrowRight", "ArrowLeft"],
    shown: ["→", "←"],
    says: "next, previous tab of a flow",
    act: (key) => turnTab(key === "ArrowRight" ? 1 : -1),
    when: hasTabs,
  },
  { keys: ["Enter"], says: "open the flow", act: openChosen },
  { keys: ["v"], says: "peek at the chosen flow beside the list", act: togglePeek, when: hasRows },
  { keys: ["Escape"], shown: ["Esc"], says: "close the pane, or back to the list", act: goBack },
  { keys: ["/"], says: "search", act: search },
  { keys: ["x"], says: "clear search and filters", act: () => press(one("[data-act=clear]")) },
  { keys: [..."123456789"], shown: ["1", "…", "9"], says: "tabs of a flow", act: openTab },
  {
    keys: ["c"],
    says: "copy the flow as curl, Python, Markdown …",
    act: openCopyMenu,
  },
  { keys: ["y"], says: "copy the shown response or body, or the chosen flow’s id", act: copyNearest },
  { keys: ["r"], says: "send the flow again, unchanged or edited", act: resend },
  { keys: ["s"], says: "pin the flow, so that retention keeps it", act: pin },
  { keys: ["m"], says: "mark the flow to compare it", act: markHere },
  {
    keys: ["d"],
    says: "compare the two marked flows, or the marked one with this one",
    act: compareMarked,
  },
  { keys: ["n", "p"], says: "next, previous change", act: (key) => jump(key === "n" ? 1 : -1) },
  { keys: ["e"], says: "explain the flow’s route", act: () => press(one("[data-act=explain]")) },
  // The frame of every page acts on this one.
  { keys: [], shown: ["Ctrl", "K"], says: "go to any page, or search" },
  { keys: ["?"], says: "this sheet", act: toggleSheet },
];

/* On a flow's page j and k open its neighbours, on the list they move the choice. */
function step(key) {
  if (key === "j") press(one("[data-act=older]")) || choose(1);
  else press(one("[data-act=newer]")) || choose(-1);
}

function openCopyMenu() {
  if (press(one("[data-act=copy-as]"))) one(".menu[open] .menu-sheet a")?.focus();
}

function toggleSheet() {
  const sheet = one("#help");
  if (sheet.open) sheet.close();
  else sheet.showModal();
}

function fillSheet() {
  const list = one("[data-keys]");
  for (const { keys, shown = keys, says } of KEYS) {
    const names = element("dt");
    for (const name of shown) {
      if (names.hasChildNodes()) names.append(" ");
      names.append(name === "…" ? name : element("kbd", "", name));
    }
    list.append(names, element("dd", "", says));
  }
}

const ACTIONS = new Map(KEYS.flatMap((entry) => entry.keys.map((key) => [key, entry])));

/* Arrows in something that scrolls sideways, such as a wide table, are its own. */
function scrolls(target, key) {
  if (!key.startsWith("Arrow") || target === document.body) return false;
  return target.scrollWidth > target.clientWidth && !target.matches("a, button");
}

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (target.matches("input, select, textarea")) {
    if (key === "Escape") target.blur();
    return;
  }
  if (one("#help").open && key !== "?") return; // Esc closes the sheet by itself
  if (key === "Escape" && one("#pages:popover-open")) return; // and this one
  if (key === "Enter" && target.matches("a, button, summary")) return;
  const entry = ACTIONS.get(key);
  if (!entry || entry.when?.() === false || scrolls(target, key)) return;
  event.preventDefault();
  entry.act(key);
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-act=help]")) toggleSheet();
});

fillSheet();
