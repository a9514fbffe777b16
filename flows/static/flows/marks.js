/* Marks on flows, to compare two or to make a shape of one, kept while the window is open. */
import { all, chosenRow, element, one, onEveryPage, pageFlow, press } from "./page.js";

const KEPT = "ccproxy-marked";
const isId = (id) => typeof id === "string" && /^[\w-]{1,36}$/.test(id);

function marked() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) || "[]").filter(isId).slice(0, 2);
  } catch {
    return [];
  }
}

function keep(ids) {
  sessionStorage.setItem(KEPT, JSON.stringify(ids));
  show();
}

function mark(id) {
  if (!isId(id)) return;
  const ids = marked();
  keep(ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id].slice(-2));
}

export const markHere = () => mark(pageFlow() || chosenRow()?.id.slice(2));

/* The server's address of a comparison, with the two ids in it. */
function address(before, after) {
  const pattern = document.body.dataset.pair;
  return pattern.replace("BEFORE", encodeURIComponent(before)).replace("AFTER", encodeURIComponent(after));
}

/* On a flow's page with one other flow marked, that one is compared with this one. */
function pair() {
  const ids = marked();
  if (ids.length === 2) return ids;
  const here = pageFlow();
  return here && ids.length === 1 && ids[0] !== here ? [ids[0], here] : null;
}

export function compareMarked() {
  const two = pair();
  if (two) location.href = address(...two);
  else press(one("[data-act=compare]"));
}

function markButton(row) {
  const found = one(".mark", row);
  if (found) return found;
  const button = element("button", "mark");
  button.type = "button";
  button.title = "Mark to compare (m)";
  button.setAttribute("aria-label", "Mark to compare");
  row.firstElementChild.prepend(button);
  return button;
}

function show() {
  const ids = marked();
  for (const row of all("tr.flow")) {
    const isMarked = ids.includes(row.id.slice(2));
    const button = markButton(row);
    row.classList.toggle("marked", isMarked);
    button.textContent = isMarked ? "◆" : "◇";
    button.setAttribute("aria-pressed", String(isMarked));
  }
  showBar(ids);
}

function showBar(ids) {
  let bar = one("#marked");
  const isWanted = ids.length && (one("tr.flow") || pageFlow());
  if (!isWanted) {
    bar?.remove();
    return;
  }
  if (!bar) {
    bar = element("div");
    bar.id = "marked";
    bar.setAttribute("role", "status");
    document.body.append(bar);
  }
  const names = ids.map((id) => id.slice(0, 8)).join(", ");
  bar.replaceChildren(element("span", "", `Marked: ${names}`), next(), ...shape(ids), unmark());
}

/* One marked flow may become a shape; the page says whether this user may do that. */
function shape(ids) {
  const pattern = document.body.dataset.capture;
  if (!pattern || ids.length !== 1) return [];
  const link = element("a", "button", "Use as shape");
  link.href = pattern.replace("FLOW", encodeURIComponent(ids[0]));
  return [link];
}

/* What can be done with the marks: compare two, or mark a second one. */
function next() {
  const two = pair();
  if (!two) return element("span", "muted", "mark another one to compare");
  const link = element("a", "button", "Compare ");
  link.href = address(...two);
  link.append(element("kbd", "", "d"));
  return link;
}

function unmark() {
  const button = element("button", "ghost", "Unmark");
  button.type = "button";
  button.addEventListener("click", () => keep([]));
  return button;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".mark");
  if (button) mark(button.closest("tr").id.slice(2));
});

onEveryPage(show);

// Rows also come and go while the list is live.
const isNew = (node) => node.nodeType === Node.ELEMENT_NODE && !node.closest(".mark");
const watch = new MutationObserver((changes) => {
  if (changes.some(({ addedNodes }) => [...addedNodes].some(isNew))) show();
});
const results = one("#results");
if (results) watch.observe(results, { childList: true, subtree: true });
