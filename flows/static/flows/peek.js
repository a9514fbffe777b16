/* The pane beside the list: a flow at a glance. Its flow is in the address. */
import { all, chosenRow, one } from "./page.js";

const WAIT_MS = 120; // while j or k repeats, only the last row is asked for
let timer = null;

const pane = () => one("#peek");
export const isPeeking = () => pane()?.hidden === false;
const shownFlow = () => one("#peek [data-peek]")?.dataset.peek;

export function togglePeek() {
  const row = chosenRow() || one("tr.flow");
  if (!row || !pane()) return;
  if (isPeeking() && shownFlow() === row.id.slice(2)) closePeek();
  else show(row);
}

/* True when there was a pane to close. */
export function closePeek() {
  if (!isPeeking()) return false;
  clearTimeout(timer);
  pane().hidden = true;
  pane().replaceChildren();
  nameInAddress("");
  one(".open", chosenRow() || document)?.focus({ preventScroll: true });
  return true;
}

/* The chosen row moved: the pane follows. */
export function followChoice() {
  if (!isPeeking()) return;
  clearTimeout(timer);
  timer = setTimeout(() => show(chosenRow()), WAIT_MS);
}

/* A row came anew from the server: a pane that shows its flow is asked for again. */
export function refreshPeek(id) {
  if (!isPeeking() || shownFlow() !== id) return;
  if (one("#peek [data-peek]").dataset.state === "live") load(id);
}

function show(row) {
  if (!row) return;
  for (const other of all("tr.flow.chosen")) other.classList.remove("chosen");
  row.classList.add("chosen");
  const id = row.id.slice(2);
  pane().hidden = false;
  load(id);
  nameInAddress(id);
  row.scrollIntoView({ block: "nearest" });
}

function load(id) {
  const address = pane().dataset.address.replace("FLOW", encodeURIComponent(id));
  htmx.ajax("GET", address, { target: "#peek", swap: "innerHTML" });
}

function nameInAddress(id) {
  const url = new URL(location.href);
  if (id) url.searchParams.set("peek", id);
  else url.searchParams.delete("peek");
  history.replaceState(history.state, "", url);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act=peek]");
  if (button) {
    const row = button.closest("tr");
    if (isPeeking() && shownFlow() === row.id.slice(2)) closePeek();
    else show(row);
  }
  if (event.target.closest("[data-act=peek-close]")) closePeek();
});

/* A page that came with a pane has its row chosen. */
const named = shownFlow();
if (named) document.getElementById(`f-${named}`)?.classList.add("chosen");
