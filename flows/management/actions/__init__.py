"""Actions of `ccproxy flows`, a module each: `list` imports nothing that `import` needs."""
