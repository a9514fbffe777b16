"""Addons that decide what happens after a failure: renewed, waited, sent to a fallback."""
