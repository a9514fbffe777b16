/* Of a session's file: search, times in the reader's zone, everything open or closed. */
const one = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];

const clock = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium", hour12: false });
for (const time of all("time[datetime]")) {
  const date = new Date(time.dateTime);
  if (isNaN(date)) continue;
  time.title = time.dateTime;
  time.textContent = clock.format(date);
}

const search = one("#search");
const found = one("#found");
let timer = null;

/* Show the messages that have the text, with the folded parts that have it open. */
function show() {
  const wanted = search.value.trim().toLowerCase();
  let count = 0;
  for (const turn of all("#conversation .turn")) {
    const hit = !wanted || turn.textContent.toLowerCase().includes(wanted);
    turn.hidden = !hit;
    if (wanted && hit) count += 1;
    for (const fold of turn.querySelectorAll("details")) {
      if (fold.dataset.was === undefined) fold.dataset.was = fold.open ? "1" : "";
      fold.open = wanted ? fold.textContent.toLowerCase().includes(wanted) : fold.dataset.was === "1";
    }
  }
  for (const branch of all("#conversation .branch")) {
    branch.hidden = Boolean(wanted) && !branch.querySelector(".turn:not([hidden])");
    if (wanted && !branch.hidden) branch.open = true;
  }
  found.textContent = wanted ? `${count} message${count === 1 ? "" : "s"}` : "";
}

search.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(show, 120);
});

one("#open-all").addEventListener("click", (event) => {
  const open = event.target.dataset.open !== "1";
  event.target.dataset.open = open ? "1" : "";
  event.target.textContent = open ? "Close all" : "Open all";
  for (const fold of all("#conversation details")) fold.open = open;
});

/* A link to a request opens it. */
function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") target.open = true;
}
addEventListener("hashchange", openTarget);
openTarget();
