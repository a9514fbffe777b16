/* The frame around every page, console and admin: theme, menus, palette. */
import "./theme_switch.js";
import "./menus.js";
import "./palette.js";
