"use strict";
/* The editor of a request that is sent again: says whether the body is JSON, sends with Ctrl+Enter, and only once. */
(() => {
  const $ = (selector) => document.querySelector(selector);
  const LARGE = 2e6; // characters; beyond it only the server checks

  function place(text, error) {
    const found = /position (\d+)/.exec(error.message);
    if (!found) return "";
    const before = text.slice(0, Number(found[1])).split("\n");
    return ` in line ${before.length}, column ${before.at(-1).length + 1}`;
  }

  function check() {
    const body = $("#edit-body");
    const state = $("#json-state");
    const isJson = /^content-type:.*json/im.test($("#edit-headers")?.value || "");
    if (!body || !state) return;
    let problem = "";
    if (isJson && body.value.trim() && body.value.length < LARGE) {
      try { JSON.parse(body.value); } catch (error) { problem = `not valid JSON${place(body.value, error)}`; }
    }
    state.textContent = problem || (isJson && body.value.trim() ? "valid JSON" : "");
    state.classList.toggle("tone-bad", Boolean(problem));
    body.setAttribute("aria-invalid", String(Boolean(problem)));
  }

  document.addEventListener("DOMContentLoaded", () => {
    const form = $("#resend");
    if (!form) return;
    check();
    form.addEventListener("input", check);
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !$("#send").disabled) { event.preventDefault(); form.requestSubmit(); }
    });
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "1";
      $("#send").setAttribute("aria-busy", "true");
    });
  });
  window.addEventListener("pageshow", () => { const form = $("#resend"); if (form) delete form.dataset.sent; });
})();
