"""Template filters and tags of the flow pages. They may import every lower room."""
