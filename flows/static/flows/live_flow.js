/* Shows a running flow's answer as it arrives, and the complete flow when it has ended. */
import { all, element, one } from "./page.js";
import { connect, showState } from "./socket.js";

const MAX_TRIES = 6;
const MAX_EVENTS = 300;
const isRunning = () => one("#state")?.dataset.state === "live";
const position = () => Number(one("#answer")?.dataset.next || 0);

export function watchFlow(path, partialAddress) {
  if (!isRunning()) return;
  let isBusy = false;
  let quietUntil_ms = 0;
  let isFinishing = false;

  const close = connect(() => `${path}?from=${position()}`, onMessage, isRunning);
  // Whatever happens to the socket, the page does not stay behind.
  const watch = setInterval(() => {
    if (isRunning()) catchUp();
    else clearInterval(watch);
  }, 3000);

  function onMessage(message) {
    if (message.type === "text") addText(message);
    else if (message.type === "gap") catchUp();
    else if (message.type !== "state") return;
    else if (message.state === "live") showProgress();
    else finish(0);
  }

  function addText(message) {
    const answer = one("#answer");
    if (answer && message.anew) {
      answer.replaceChildren();
      answer.dataset.next = 0;
    }
    if (!answer || message.next <= position()) return;
    if (message.offset !== position()) {
      catchUp();
      return;
    }
    append(answer, message.pieces);
    answer.dataset.next = message.next;
  }

  /* Ask for what came after the shown part, at most about once a second. */
  async function catchUp() {
    if (isBusy || Date.now() < quietUntil_ms) return;
    isBusy = true;
    try {
      const answer = one("#answer");
      const from = position();
      const partial = await (await fetch(`${partialAddress}?from=${from}`)).json();
      if (answer?.isConnected && position() === from) {
        append(answer, partial.pieces);
        answer.dataset.next = partial.next;
      }
      if (partial.state !== "live") finish(0);
    } catch { /* the next round asks again */ }
    quietUntil_ms = Date.now() + 900;
    isBusy = false;
  }

  /* Ask for the flow as it ended; the record may be a moment late. */
  function finish(tries) {
    if (isFinishing && tries === 0) return;
    isFinishing = true;
    const url = new URL(location.href);
    url.searchParams.set("whole", "1");
    setTimeout(async () => {
      await htmx.ajax("GET", url.pathname + url.search, { target: "#flow" });
      if (isRunning() && tries < MAX_TRIES) {
        finish(tries + 1);
        return;
      }
      isFinishing = false;
      if (isRunning()) return;
      close();
      showState("", "");
    }, tries ? 200 * 2 ** tries : 300);
  }
}

/* The heading follows about every two seconds; so do messages, unless somebody reads one. */
function showProgress() {
  const heading = { target: "#head", select: "#head", swap: "outerHTML" };
  htmx.ajax("GET", `${location.pathname}?tab=timing&whole=1`, heading);
  if (one("[data-tab=response] .events")) {
    addEvents();
    return;
  }
  const panel = one("[data-tab=messages], [data-tab=timing], [data-tab=changes]");
  if (panel && !one("details[open]", panel)) {
    htmx.ajax("GET", location.pathname + location.search, { target: "#tabs" });
  }
}

/* Facts that a reader opened stay open when the heading comes anew. */
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!one(".facts-fold")?.open || !detail.serverResponse) return;
  detail.serverResponse = detail.serverResponse.replace('class="facts-fold"', 'class="facts-fold" open');
});

/* Rows of events that the table lacks go below; those that a reader opened stay open. */
async function addEvents() {
  const response = await fetch(location.href, { headers: { "HX-Request": "true" } });
  const panel = new DOMParser().parseFromString(await response.text(), "text/html");
  const body = one("[data-tab=response] .events tbody");
  if (!response.ok || !body || !isRunning()) return;
  const last = Number(body.lastElementChild?.dataset.event || 0);
  const isAtBottom = innerHeight + scrollY >= document.body.scrollHeight - 80;
  const fresh = all("tr[data-event]", panel).filter((row) => Number(row.dataset.event) > last);
  body.append(...fresh);
  while (body.children.length > MAX_EVENTS) body.firstElementChild.remove();
  const total = one("[data-events-total]", panel);
  if (total && one("[data-events-total]")) one("[data-events-total]").textContent = total.textContent;
  if (isAtBottom && fresh.length) scrollTo({ top: document.body.scrollHeight });
}

function append(answer, pieces) {
  const isAtBottom = innerHeight + scrollY >= document.body.scrollHeight - 80;
  for (const [kind, text] of pieces) {
    const last = answer.lastElementChild;
    if (last && last.classList.contains(kind) && kind !== "tool") last.append(text);
    else answer.append(element("div", `piece ${kind}`, text));
  }
  if (isAtBottom && pieces.length) scrollTo({ top: document.body.scrollHeight });
}
