"""REST resources of shapes and profiles."""
