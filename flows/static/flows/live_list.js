/* Keeps the list of flows current. Lost messages do no harm: rows always come from the server. */
import { localTimes } from "./local_time.js";
import { all, one } from "./page.js";
import { refreshPeek } from "./peek.js";
import { connect } from "./socket.js";

const BATCH_ROWS = 50;
const MAX_ROWS = 300;
const MAX_UNSEEN = 500;
const MAX_TRIES = 6;
const NEAR_TOP_PX = 60;
const AIM_MS = 1500;

const waiting = new Map(); // flow id → [tries, state that its row should have]
const unseen = new Set(); // flows that are newer than what is shown further down
let timer = null;
let aimedAt_ms = -Infinity; // the pointer moved over the rows
let isPressed = false;

const isAtTop = () => scrollY < NEAR_TOP_PX;
const liveTable = () => one("table[data-live]");

/* While somebody aims at a row, new rows wait, so that none slides under the pointer. */
const isAiming = () => isPressed || performance.now() - aimedAt_ms < AIM_MS;

function watchPointer() {
  document.addEventListener("pointermove", (event) => {
    if (event.target.closest(".flows tbody")) aimedAt_ms = performance.now();
    else if (aimedAt_ms !== -Infinity) {
      aimedAt_ms = -Infinity;
      letIn();
    }
  }, { passive: true });
  document.addEventListener("pointerdown", (event) => {
    isPressed = event.target.closest(".flows tbody") !== null;
  });
  for (const name of ["pointerup", "pointercancel"]) {
    // The click comes after this event: rows move once it was heard.
    document.addEventListener(name, () => setTimeout(() => { isPressed = false; }, 0));
  }
}

/* Bring the rows that waited for the pointer, once it rests. */
function letIn() {
  if (!unseen.size || !isAtTop() || !liveTable()) return;
  if (isAiming()) setTimeout(letIn, AIM_MS);
  else bring();
}

export function watchList(path) {
  watchPointer();
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
  setInterval(tick, 1000);
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

/* Running rows count the time on, between two answers of the server. */
function tick() {
  for (const clock of all("tr.flow[data-state=live] [data-since]")) {
    clock.began_ms ??= performance.now() - Number(clock.dataset.since);
    const seconds = Math.floor((performance.now() - clock.began_ms) / 1000);
    if (seconds < 1) continue;
    clock.textContent = `${spelled(seconds)} …`;
  }
}

/* As the server writes durations: "41 s", "2 m 05 s", "3 h 07 m". */
function spelled(seconds) {
  const minutes = Math.floor(seconds / 60);
  const two = (number) => String(number).padStart(2, "0");
  if (!minutes) return `${seconds} s`;
  if (minutes < 60) return `${minutes} m ${two(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`;
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
  const isUnfiltered = [...query.keys()].every((name) => name === "columns");
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
  if (old && isPressed) setTimeout(() => note(id, ""), AIM_MS);
  else if (old) refill(old, row);
  else if (liveTable() && isAtTop() && !isAiming()) insert(row);
  else if (unseen.size < MAX_UNSEEN) {
    unseen.add(id);
    if (isAiming()) setTimeout(letIn, AIM_MS);
  }
}

/* The row itself stays: a click that began on it ends on it. */
function refill(old, row) {
  const hadFocus = old.contains(document.activeElement);
  row.classList.toggle("chosen", old.classList.contains("chosen"));
  for (const name of old.getAttributeNames()) {
    if (!row.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const name of row.getAttributeNames()) old.setAttribute(name, row.getAttribute(name));
  old.replaceChildren(...row.childNodes);
  htmx.process(old);
  if (hadFocus) one(".open", old).focus({ preventScroll: true });
  refreshPeek(old.id.slice(2));
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
