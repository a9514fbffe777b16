"""Values turned into what a person sees: units, escaped text, Markdown, JSON trees, timing bars.

Modules here may import each other, `flows.models`, and what lies below it; never a query or a page.
"""
