"use strict";
/* Keys and local times. Every key is also a link or a button on the page. */
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const LIST = "/flows/";

  function localTimes(root = document) {
    const today = new Date().toDateString();
    for (const time of all("time[datetime]:not([data-done])", root)) {
      const date = new Date(time.dateTime);
      if (isNaN(date)) continue;
      const clock = date.toLocaleTimeString([], { hour12: false });
      const day = date.toLocaleDateString([], { month: "short", day: "numeric" });
      time.title = date.toLocaleString() + " (local time)";
      time.textContent = time.hasAttribute("data-full") ? `${day}, ${clock}` : date.toDateString() === today ? clock : `${day} ${clock.slice(0, 5)}`;
      time.setAttribute("data-done", "");
    }
  }

  function backAddress() {
    const kept = sessionStorage.getItem("ccproxy-list");
    return kept && kept.startsWith(LIST) ? kept : LIST;
  }

  function remember() {
    if (location.pathname === LIST) sessionStorage.setItem("ccproxy-list", location.pathname + location.search);
    for (const link of all("[data-act=back]")) link.href = backAddress();
  }

  function choose(step) {
    const rows = all("tr.flow");
    if (!rows.length) return;
    const now = rows.findIndex((row) => row.classList.contains("chosen"));
    const next = rows[Math.max(0, Math.min(rows.length - 1, now < 0 ? 0 : now + step))];
    if (now >= 0) rows[now].classList.remove("chosen");
    next.classList.add("chosen");
    next.scrollIntoView({ block: "nearest" });
    $(".open", next).focus({ preventScroll: true });
  }

  const follow = (link) => { if (link) { link.click(); return true; } return false; };
  const actions = {
    j: () => follow($("[data-act=older]")) || choose(1),
    k: () => follow($("[data-act=newer]")) || choose(-1),
    Enter: () => follow($("tr.chosen .open")),
    x: () => follow($("[data-act=clear]")),
    e: () => follow($("[data-act=explain]")),
    c: () => follow($("[data-act=copy-as]")),
    "/": () => { const box = $("#q"); if (box) { box.focus(); box.select(); } else location.href = backAddress(); },
    "?": () => { const sheet = $("#help"); sheet.open ? sheet.close() : sheet.showModal(); },
    Escape: () => {
      const open = $(".more-filters[open]");
      if (open) open.open = false;
      else follow($("[data-act=flow]")) || follow($("[data-act=back]"));
    },
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target;
    if (target.matches("input, select, textarea")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if ($("#help").open && event.key !== "?") return; // Esc closes the sheet by itself
    if (event.key === "Enter" && target.matches("a, button, summary")) return;
    if (/^[1-9]$/.test(event.key)) { follow(all(".tabs a")[event.key - 1]); return; }
    const action = actions[event.key];
    if (action) { event.preventDefault(); action(); }
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-act=help]")) { actions["?"](); return; }
    const open = $(".more-filters[open]");
    if (open && !open.contains(event.target)) open.open = false;
    const row = event.target.closest("tr.flow");
    if (row && !event.target.closest("a, button") && !String(getSelection())) {
      const link = $(".open", row);
      if (event.ctrlKey || event.metaKey) window.open(link.href, "_blank", "noopener");
      else link.click();
    }
  });

  // Empty fields make no filters, and no long addresses.
  document.addEventListener("htmx:configRequest", (event) => {
    const parameters = event.detail.parameters;
    for (const name of Object.keys(parameters)) if (parameters[name] === "") delete parameters[name];
  });
  document.addEventListener("htmx:afterSwap", (event) => { localTimes(); remember(); });
  document.addEventListener("DOMContentLoaded", () => { localTimes(); remember(); });
  window.addEventListener("pageshow", () => { localTimes(); remember(); });
  window.ccproxy = { localTimes };
})();
