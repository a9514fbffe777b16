"use strict";
/* Marks two flows to compare them, jumps between changes, opens “send again”. Every key is also a link or a button. */
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const KEPT = "ccproxy-marked";

  /* ---- marks: at most two flows, kept while the window is open ---- */

  const isId = (id) => typeof id === "string" && /^[\w-]{1,36}$/.test(id);
  function marked() {
    try { return JSON.parse(sessionStorage.getItem(KEPT) || "[]").filter(isId).slice(0, 2); } catch { return []; }
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

  const pageFlow = () => $("#live[data-flow]")?.dataset.flow;
  const chosen = () => $("tr.flow.chosen")?.id.slice(2);
  const address = (a, b) => `/flows/diff/${encodeURIComponent(a)}/${encodeURIComponent(b)}/`;

  /* On a flow's page with one other flow marked, that one is compared with this one. */
  function pair() {
    const ids = marked();
    if (ids.length === 2) return ids;
    const here = pageFlow();
    return here && ids.length === 1 && ids[0] !== here ? [ids[0], here] : null;
  }

  function show() {
    const ids = marked();
    for (const row of all("tr.flow")) {
      const id = row.id.slice(2);
      let button = $(".mark", row);
      if (!button) {
        button = document.createElement("button");
        button.type = "button";
        button.className = "mark";
        button.title = "Mark to compare (m)";
        button.setAttribute("aria-label", "Mark to compare");
        row.firstElementChild.prepend(button);
      }
      const on = ids.includes(id);
      row.classList.toggle("marked", on);
      button.textContent = on ? "◆" : "◇";
      button.setAttribute("aria-pressed", String(on));
    }
    bar(ids);
  }

  function bar(ids) {
    let element = $("#marked");
    const wanted = ids.length && (document.querySelector("tr.flow") || pageFlow());
    if (!wanted) { element?.remove(); return; }
    if (!element) {
      element = document.createElement("div");
      element.id = "marked";
      element.setAttribute("role", "status");
      document.body.append(element);
    }
    element.replaceChildren();
    const say = document.createElement("span");
    say.textContent = `Marked: ${ids.map((id) => id.slice(0, 8)).join(", ")}`;
    element.append(say);
    const two = pair();
    if (two) {
      const link = document.createElement("a");
      link.className = "button";
      link.href = address(...two);
      link.textContent = "Compare ";
      link.append(key("d"));
      element.append(link);
    } else {
      const hint = document.createElement("span");
      hint.className = "muted";
      hint.textContent = "mark another one to compare";
      element.append(hint);
    }
    const none = document.createElement("button");
    none.type = "button";
    none.className = "ghost";
    none.textContent = "Unmark";
    none.addEventListener("click", () => keep([]));
    element.append(none);
  }

  function key(name) {
    const element = document.createElement("kbd");
    element.textContent = name;
    return element;
  }

  /* ---- changes ---- */

  const changes = () => all(".change [data-change]");

  function jump(step) {
    const places = changes();
    if (!places.length) return;
    const now = places.findIndex((place) => place.classList.contains("here"));
    const next = now < 0 ? (step > 0 ? 0 : places.length - 1) : (now + step + places.length) % places.length;
    if (now >= 0) places[now].classList.remove("here");
    places[next].classList.add("here");
    places[next].scrollIntoView({ block: "center" });
    places[next].focus({ preventScroll: true });
    for (const label of all("[data-place]")) label.textContent = `${next + 1} of ${places.length}`;
  }

  function jumps() {
    const count = changes().length;
    for (const element of all("[data-jumps]")) {
      element.hidden = count < 2 && !$("[data-act=reordering]", element);
      const label = $("[data-place]", element);
      if (label && !label.textContent) label.textContent = count === 1 ? "1 change" : `${count} changes`;
    }
  }

  /* ---- keys ---- */

  const follow = (link) => { if (link) { link.click(); return true; } return false; };
  const actions = {
    m: () => mark(pageFlow() || chosen()),
    d: () => { const two = pair(); if (two) location.href = address(...two); else follow($("[data-act=compare]")); },
    n: () => jump(1),
    p: () => jump(-1),
    r: () => {
      const row = chosen();
      if (!follow($("[data-act=resend]")) && row) location.href = `/flows/${encodeURIComponent(row)}/resend/`;
    },
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || $("#help")?.open) return;
    if (event.target.matches("input, select, textarea")) return;
    const action = actions[event.key];
    if (action) { event.preventDefault(); action(); }
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".mark");
    if (button) mark(button.closest("tr").id.slice(2));
    if (event.target.closest("[data-act=next-change]")) jump(1);
    if (event.target.closest("[data-act=previous-change]")) jump(-1);
  });

  function refresh() {
    show();
    jumps();
  }

  document.addEventListener("DOMContentLoaded", () => {
    refresh();
    // Rows also come and go while the list is live.
    const results = $("#results");
    if (results) new MutationObserver((found) => { if (found.some((one) => [...one.addedNodes].some((node) => node.nodeType === 1 && !node.closest(".mark")))) show(); }).observe(results, { childList: true, subtree: true });
  });
  document.addEventListener("htmx:afterSwap", refresh);
  window.addEventListener("pageshow", refresh);
})();
