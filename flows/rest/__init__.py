"""REST resources of flows: viewsets, views and the shapes of their JSON.

Resources check the request, ask a query, a page's function or an importer, and write the result.
They are the upper room of this app and may import every other one; only URLs import them.
"""
