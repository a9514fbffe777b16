"""Captures of other tools, read into the record: HAR and mitmproxy files, uploads.

Readers turn a file into `FlowRecord`s, and the importer writes them as the live writer does. This
room may import `flows.export`, `flows.writer` and what lies below; never a page or REST.
"""
