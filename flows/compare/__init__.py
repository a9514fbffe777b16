"""Comparisons of requests, flows and texts: headers by line, JSON by structure, text by line.

Modules here compare values that they are given; `flow_pair` and `unified` also read complete flows.
They may import `flows.reading`, `flows.queries` and what lies below; never a page or REST.
"""
