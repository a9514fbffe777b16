"""The frozen configuration that the proxy runs on: loaded, watched, swapped.

`schema` and `store` belong to the request path and never import Django; `load` and `watch` read
the database on threads of their own.
"""
