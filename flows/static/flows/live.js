"use strict";
/* Makes the pages move. They are complete without it: what is lost here is fetched from the server again. */
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const badge = () => $("#live");

  function say(text, state) {
    const element = badge();
    if (element) { element.textContent = text; element.className = `live ${state}`; }
  }

  /* A websocket that comes back. `address` is asked anew each time. */
  function connect(address, onMessage, wanted) {
    let wait = 500;
    let socket = null;
    const open = () => {
      if (!wanted()) return;
      socket = new WebSocket(location.origin.replace(/^http/, "ws") + address());
      socket.onopen = () => { wait = 500; say("live", "on"); onMessage({ type: "open" }); };
      socket.onmessage = (event) => onMessage(JSON.parse(event.data));
      socket.onclose = () => {
        if (!wanted()) return;
        say("reconnecting", "off");
        setTimeout(open, wait);
        wait = Math.min(wait * 2, 10000);
      };
    };
    open();
    return () => socket && socket.close();
  }

  /* ---- the list ---- */

  const waiting = new Map(); // id → [tries, state wanted]
  const unseen = new Set();
  let timer = null;

  function list() {
    let opened = false;
    connect(() => "/ws/flows/", (message) => {
      if (message.type === "row") note(message.id, message.state);
      else if (message.type === "open") { if (opened) refresh(); opened = true; }
    }, () => true);
    // What streams while nobody tells (another process, a lost message) is asked for now and then.
    setInterval(() => {
      for (const row of document.querySelectorAll("tr.flow[data-state=live]")) note(row.id.slice(2), "");
    }, 5000);
    window.addEventListener("scroll", () => { if (scrollY < 60 && unseen.size && $("table[data-live]")) bring(); }, { passive: true });
    document.addEventListener("click", (event) => {
      if (event.target.closest("#pill") && $("table[data-live]")) { event.preventDefault(); scrollTo({ top: 0 }); bring(); }
    });
  }

  function refresh() {
    if (scrollY < 60 && $("table[data-live]")) htmx.ajax("GET", location.pathname + location.search, { target: "#results" });
  }

  function note(id, state) {
    waiting.set(id, [0, state]);
    schedule(200);
  }

  function schedule(delay) {
    if (timer === null) timer = setTimeout(() => { timer = null; fetchRows(); }, delay);
  }

  function bring() {
    for (const id of unseen) waiting.set(id, [0, ""]);
    unseen.clear();
    pill();
    schedule(0);
  }

  function pill() {
    const element = $("#pill");
    if (!element) return;
    element.hidden = !unseen.size;
    element.textContent = `${unseen.size >= 500 ? "500+" : unseen.size} new`;
  }

  /* Asks for the rows that moved; the server leaves out what the filters leave out. */
  async function fetchRows() {
    const table = $("table.flows");
    if (!table || !waiting.size) return;
    const batch = [...waiting].slice(0, 50);
    for (const [id] of batch) waiting.delete(id);
    const query = table.dataset.query.replace(/^\?/, "");
    try {
      const answer = await fetch(`/flows/rows?ids=${batch.map(([id]) => encodeURIComponent(id)).join(",")}${query ? "&" + query : ""}`);
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(`<table><tbody>${await answer.text()}</tbody></table>`, "text/html");
      place(new Map([...page.querySelectorAll("tr.flow")].map((row) => [row.id.slice(2), row])), batch, !query);
    } catch {
      for (const [id, [tries, state]] of batch) again(id, tries, state);
    }
    if (waiting.size) schedule(300);
  }

  function again(id, tries, state) {
    // The record is written a moment after the event: ask a few times, ever more slowly.
    if (tries < 6 && !waiting.has(id)) setTimeout(() => { if (!waiting.has(id)) waiting.set(id, [tries + 1, state]); schedule(0); }, 150 * 2 ** tries);
  }

  function place(rows, batch, unfiltered) {
    const table = $("table.flows");
    for (const [id, [tries, state]] of batch) {
      const row = rows.get(id);
      const old = document.getElementById(`f-${id}`);
      if (!row) { if (unfiltered || tries < 3) again(id, tries, state); continue; }
      if (row.dataset.state === "live" && state && state !== "live") again(id, tries, state);
      if (old) {
        row.classList.toggle("chosen", old.classList.contains("chosen"));
        const focused = old.contains(document.activeElement);
        old.replaceWith(row);
        if (focused) $(".open", row).focus({ preventScroll: true });
      } else if (!("live" in table.dataset) || scrollY >= 60) {
        if (unseen.size < 500) unseen.add(id);
      } else insert(row);
    }
    pill();
    window.ccproxy.localTimes();
  }

  function insert(row) {
    const body = $("#rows");
    row.classList.add("new");
    const after = [...body.children].find((other) => Number(other.dataset.cursor) <= Number(row.dataset.cursor));
    body.insertBefore(row, after || null);
    while (body.children.length > 300) body.lastElementChild.remove();
    const empty = $("#empty");
    if (empty) empty.remove();
  }

  /* ---- one flow ---- */

  function flow(id) {
    const running = () => $("#state")?.dataset.state === "live";
    if (!running()) return;
    let busy = false;
    let again_at = 0;
    const position = () => Number($("#answer")?.dataset.next || 0);

    const close = connect(() => `/ws/flows/${encodeURIComponent(id)}/?from=${position()}`, (message) => {
      if (message.type === "text") text(message);
      else if (message.type === "gap") catchUp();
      else if (message.type === "state") message.state === "live" ? progress() : finish(0);
    }, running);
    // Whatever happens to the socket, the page does not stay behind.
    const watch = setInterval(() => { if (!running()) clearInterval(watch); else catchUp(); }, 3000);

    function text(message) {
      const answer = $("#answer");
      if (!answer || message.next <= position()) return;
      if (message.offset !== position()) { catchUp(); return; }
      append(answer, message.pieces);
      answer.dataset.next = message.next;
    }

    async function catchUp() {
      const answer = $("#answer");
      if (busy || Date.now() < again_at) return;
      busy = true;
      try {
        const from = position();
        const address = answer ? answer.dataset.partial : `/flows/${encodeURIComponent(id)}/partial`;
        const partial = await (await fetch(`${address}?from=${from}`)).json();
        if (answer?.isConnected && position() === from) { append(answer, partial.pieces); answer.dataset.next = partial.next; }
        if (partial.state !== "live") finish(0);
      } catch { /* the next round asks again */ }
      again_at = Date.now() + 900;
      busy = false;
    }

    /* The head follows about every two seconds; so do a websocket's messages, unless one is being read. */
    function progress() {
      htmx.ajax("GET", `${location.pathname}?tab=timing&whole=1`, { target: "#head", select: "#head", swap: "outerHTML" });
      const panel = $("[data-tab=messages], [data-tab=timing], [data-tab=changes]");
      if (panel && !$("details[open]", panel)) htmx.ajax("GET", location.pathname + location.search, { target: "#tabs" });
    }

    let finishing = false;
    function finish(tries) {
      if (finishing && tries === 0) return;
      finishing = true;
      const url = new URL(location.href);
      url.searchParams.set("whole", "1");
      setTimeout(async () => {
        await htmx.ajax("GET", url.pathname + url.search, { target: "#flow" });
        if (running() && tries < 6) finish(tries + 1);
        else { finishing = false; if (!running()) { close(); say("", ""); } }
      }, tries ? 200 * 2 ** tries : 300);
    }
  }

  function append(answer, pieces) {
    const bottom = innerHeight + scrollY >= document.body.scrollHeight - 80;
    for (const [kind, added] of pieces) {
      const last = answer.lastElementChild;
      if (last && last.classList.contains(kind) && kind !== "tool") last.append(added);
      else {
        const piece = document.createElement("div");
        piece.className = `piece ${kind}`;
        piece.textContent = added;
        answer.append(piece);
      }
    }
    if (bottom && pieces.length) scrollTo({ top: document.body.scrollHeight });
  }

  document.addEventListener("DOMContentLoaded", () => {
    const element = badge();
    if (!element) return;
    if ("list" in element.dataset) list();
    else if (element.dataset.flow) flow(element.dataset.flow);
  });
})();
