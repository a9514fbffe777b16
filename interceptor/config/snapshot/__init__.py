"""The frozen configuration that the proxy runs on: loaded, watched, swapped.

`schema`, `store` and `build` belong to the request path and never import Django; `load` and `watch`
read the database on threads of their own. Rows of `load.read_rows` may be pickled, so that another
process builds the snapshot.
"""
