/* Keeps the list of flows current. Lost messages do no harm: rows always come from the server. */
import { localTimes } from "./local_time.js";
import { all, one } from "./page.js";
import { connect } from "./socket.js";

const BATCH_ROWS = 50;
const MAX_ROWS = 300;
const MAX_UNSEEN = 500;
const MAX_TRIES = 6;
const NEAR_TOP_PX = 60;

const waiting = new Map(); // flow id → [tries, state that its row should have]
const unseen = new Set(); // flows that are newer than what is shown further down
let timer = null;

const isAtTop = () => scrollY < NEAR_TOP_PX;
const liveTable = () => one("table[data-live]");

export function watchList(path) {
  let wasOpen = false;
  connect(() => path, (message) => {
    if (message.type === "row") note(message.id, message.state);
    if (message.type !== "open") return;
    if (wasOpen) refresh();
    wasOpen = true;
  }, () => true);
  // Flows of other processes stream without messages, and messages get lost: ask now and then.
  setInterval(() => {
    for (const row of all("tr.flow[data-state=live]")) note(row.id.slice(2), "");
  }, 5000);
  window.addEventListener("scroll", () => {
    if (isAtTop() && unseen.size && liveTable()) bring();
  }, { passive: true });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#pill") || !liveTable()) return;
    event.preventDefault();
    scrollTo({ top: 0 });
    bring();
  });
}

function refresh() {
  if (isAtTop() && liveTable()) htmx.ajax("GET", location.pathname + location.search, { target: "#results" });
}

function note(id, state) {
  waiting.set(id, [0, state]);
  schedule(200);
}

function schedule(delay_ms) {
  if (timer !== null) return;
  timer = setTimeout(() => {
    timer = null;
    fetchRows();
  }, delay_ms);
}

function bring() {
  for (const id of unseen) waiting.set(id, [0, ""]);
  unseen.clear();
  showPill();
  schedule(0);
}

function showPill() {
  const pill = one("#pill");
  if (!pill) return;
  pill.hidden = !unseen.size;
  pill.textContent = `${unseen.size >= MAX_UNSEEN ? `${MAX_UNSEEN}+` : unseen.size} new`;
}

/* Ask for the rows that moved; the server omits those that the filters omit. */
async function fetchRows() {
  const table = one("table.flows");
  if (!table || !waiting.size) return;
  const batch = [...waiting].slice(0, BATCH_ROWS);
  for (const [id] of batch) waiting.delete(id);
  const query = new URLSearchParams(table.dataset.query);
  const isUnfiltered = !query.size;
  query.set("ids", batch.map(([id]) => id).join(","));
  try {
    const response = await fetch(`${table.dataset.rows}?${query}`);
    if (!response.ok) throw new Error(response.status);
    place(rowsIn(await response.text()), batch, isUnfiltered);
  } catch {
    for (const [id, [tries, state]] of batch) again(id, tries, state);
  }
  if (waiting.size) schedule(300);
}

function rowsIn(html) {
  const page = new DOMParser().parseFromString(`<table><tbody>${html}</tbody></table>`, "text/html");
  return new Map(all("tr.flow", page).map((row) => [row.id.slice(2), row]));
}

/* The record is written a moment after its event: ask a few times, ever more slowly. */
function again(id, tries, state) {
  if (tries >= MAX_TRIES || waiting.has(id)) return;
  setTimeout(() => {
    if (!waiting.has(id)) waiting.set(id, [tries + 1, state]);
    schedule(0);
  }, 150 * 2 ** tries);
}

function place(rows, batch, isUnfiltered) {
  for (const [id, [tries, state]] of batch) {
    const row = rows.get(id);
    if (!row) {
      if (isUnfiltered || tries < 3) again(id, tries, state);
      continue;
    }
    if (row.dataset.state === "live" && state && state !== "live") again(id, tries, state);
    placeRow(id, row);
  }
  showPill();
  localTimes();
}

function placeRow(id, row) {
  const old = document.getElementById(`f-${id}`);
  if (old) replace(old, row);
  else if (liveTable() && isAtTop()) insert(row);
  else if (unseen.size < MAX_UNSEEN) unseen.add(id);
}

function replace(old, row) {
  const hadFocus = old.contains(document.activeElement);
  row.classList.toggle("chosen", old.classList.contains("chosen"));
  old.replaceWith(row);
  htmx.process(row);
  if (hadFocus) one(".open", row).focus({ preventScroll: true });
}

function insert(row) {
  const body = one("#rows");
  row.classList.add("new");
  const isOlder = (other) => Number(other.dataset.cursor) <= Number(row.dataset.cursor);
  body.insertBefore(row, [...body.children].find(isOlder) || null);
  htmx.process(row);
  while (body.children.length > MAX_ROWS) body.lastElementChild.remove();
  one("#empty")?.remove();
}
