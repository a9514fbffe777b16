"""Shapes as files: mitmproxy captures, and patch series in the style of quilt."""
