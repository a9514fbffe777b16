"""Access keys of AWS as credentials."""
