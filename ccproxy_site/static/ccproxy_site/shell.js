/* The frame around every page, console and admin: theme, menus, palette, the tab's title and icon. */
import "./theme_switch.js";
import "./menus.js";
import "./palette.js";
import "./tab_state.js";
