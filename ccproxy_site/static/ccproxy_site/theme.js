/* Sets the theme before the first paint. The admin's own script keeps its choice under the same name. */
(() => {
  const root = document.documentElement;
  try {
    const kept = JSON.parse(localStorage.getItem("adminTheme") || '"auto"');
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
    // The admin's own script asks the system once; an open page follows a later change too.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ({ matches }) => {
      if (!root.dataset.theme) root.classList.toggle("dark", matches);
    });
  } catch { /* the system's theme */ }
})();
