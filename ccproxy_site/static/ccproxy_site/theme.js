/* Sets the theme before the first paint. The admin's own script keeps its choice under the same name. */
(() => {
  const root = document.documentElement;
  try {
    const kept = JSON.parse(localStorage.getItem("adminTheme") || '"auto"');
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  } catch { /* the system's theme */ }
})();
