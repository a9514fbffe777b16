"""Search in the texts of flows: parts of bodies, a trigram index in the database, hits.

`wanted_words`, `folding`, `body_strings`, `body_parts` and `postings` are pure. May import
`flows.models`, `flows.bodies` and `flows.reading`.
"""
