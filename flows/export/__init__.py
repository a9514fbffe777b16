"""Flows in forms for other tools: HAR, curl, Python, SDK calls, the table of the shell.

Modules here turn complete flows into text. They may import `flows.reading`, `flows.queries` and
what lies below; never a page or REST.
"""
