"""Checks of `ccproxy doctor`: each returns findings and changes nothing."""
