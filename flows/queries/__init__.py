"""Reads of the record: pages of flows, one flow, filters, jq, sessions, usage.

Modules here return rows or plain values and never change anything. They may import `flows.display`,
`flows.bodies`, `flows.models` and what lies below; never a page, an export or REST.
"""
