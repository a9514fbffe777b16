/* The tab's title and icon: failures since it was looked at, and a record that is interrupted.
   Notices on the screen, where a click allowed them. */

const EVERY_MS = 15000;
const SEEN = "ccproxyTabSeen";
const SHOWN = "ccproxyNoticeShown";
const WANTED = "ccproxyNoticesWanted";
const COUNT = /^\(\d+\) /;
const holder = document.querySelector("[data-tab-state]");

/* Values that all tabs share; without a store, for this page alone. */
const values = new Map();

function read(name) {
  try {
    return localStorage.getItem(name) ?? values.get(name) ?? "";
  } catch {
    return values.get(name) ?? "";
  }
}

function keep(name, value) {
  values.set(name, String(value));
  try {
    localStorage.setItem(name, String(value));
  } catch { /* kept for this page alone */ }
}

function showIcon(address) {
  for (const link of document.querySelectorAll("link[rel~=icon]")) {
    if (link.getAttribute("href") !== address) link.setAttribute("href", address);
  }
}

function show(state) {
  const failures = document.hidden ? state.failures : 0;
  const title = document.title.replace(COUNT, "");
  document.title = failures ? `(${failures}) ${title}` : title;
  if (state.problem) showIcon(holder.dataset.iconStopped);
  else showIcon(failures ? holder.dataset.iconFailing : holder.dataset.icon);
}

const mayNotify = () => "Notification" in window && Notification.permission === "granted";

function notify(state) {
  // The tabs share the mark, so each notice is shown by one of them.
  const before = Number(read(SHOWN) || state.last);
  if (state.last > before || !read(SHOWN)) keep(SHOWN, state.last);
  if (read(WANTED) !== "on" || !mayNotify()) return;
  for (const notice of state.notices) {
    if (notice.id <= before) continue;
    const shown = new Notification("ccproxy", { body: notice.text, tag: `ccproxy-${notice.id}` });
    shown.onclick = () => {
      window.focus();
      if (notice.flow) location.assign(holder.dataset.flow.replace("FLOW", notice.flow));
    };
  }
}

/* Difference of the server's clock from the browser's, in seconds. */
let offset = 0;

function seeUntilNow() {
  keep(SEEN, Date.now() / 1000 + offset);
}

async function look() {
  const query = new URLSearchParams({ since: read(SEEN), after: read(SHOWN) });
  let state;
  try {
    const response = await fetch(`${holder.dataset.tabState}?${query}`);
    // Signed out: there is nothing to show.
    if (!response.ok || response.redirected) return;
    state = await response.json();
  } catch {
    state = { problem: "the console does not respond", failures: 0, last: 0, notices: [] };
    show(state);
    return;
  }
  offset = state.now - Date.now() / 1000;
  if (!document.hidden || !read(SEEN)) seeUntilNow();
  show(state);
  notify(state);
}

function showButton(button) {
  const isOn = read(WANTED) === "on" && mayNotify();
  button.hidden = !("Notification" in window);
  button.setAttribute("aria-pressed", String(isOn));
  button.textContent = isOn ? "Stop showing notices in this browser" : "Show notices in this browser";
}

async function toggle(button) {
  if (read(WANTED) === "on" && mayNotify()) keep(WANTED, "off");
  else if ((await Notification.requestPermission()) === "granted") keep(WANTED, "on");
  showButton(button);
}

if (holder) {
  const button = document.querySelector("[data-act=browser-notices]");
  if (button) {
    showButton(button);
    button.addEventListener("click", () => toggle(button));
  }
  document.addEventListener("visibilitychange", () => {
    seeUntilNow();
    look();
  });
  setInterval(look, EVERY_MS);
  look();
}
