"use strict";
/* Copying: ids, headers, bodies. Buttons say what became of it, to screen readers too; y presses the nearest one. */
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);

  /* The clipboard's own interface is there on https and on this machine only. */
  async function put(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "sr";
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  async function textOf(button) {
    const { copy, copyFrom, copyUrl } = button.dataset;
    if (copyUrl) {
      const response = await fetch(copyUrl);
      if (!response.ok) throw new Error(String(response.status));
      return response.text();
    }
    if (button.hasAttribute("data-copy-headers")) {
      const lines = [...button.closest(".fold").querySelectorAll("tr[data-header]")];
      return lines.map((line) => `${$("th span", line).textContent}: ${$("td", line).textContent}\n`).join("");
    }
    return copyFrom ? $(copyFrom).textContent : copy;
  }

  function say(button, text) {
    const before = button.textContent;
    button.textContent = text;
    setTimeout(() => { button.textContent = before; }, 1200);
    let told = $("#told");
    if (!told) {
      told = document.createElement("p");
      told.id = "told";
      told.className = "sr";
      told.setAttribute("role", "status");
      document.body.append(told);
    }
    told.textContent = text;
  }

  async function copy(button) {
    if (button.dataset.busy) return;
    button.dataset.busy = "1";
    let done = false;
    try { done = await put(await textOf(button)); } catch { /* said below */ }
    say(button, done ? "copied" : "not copied");
    setTimeout(() => delete button.dataset.busy, 1200);
  }

  const BUTTONS = "[data-copy], [data-copy-from], [data-copy-url], [data-copy-headers]";

  document.addEventListener("click", (event) => {
    const button = event.target.closest(BUTTONS);
    if (button) { event.preventDefault(); copy(button); }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "y" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.matches("input, select, textarea") || $("dialog[open]")) return;
    const button = $("[data-copy-url]") || $("[data-copy-from]") || $("tr.chosen [data-copy]") || $(".facts [data-copy]");
    if (button) { event.preventDefault(); copy(button); }
  });
})();
