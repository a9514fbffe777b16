"""Lists for the shell: tables, JSON, texts made safe for a terminal, and rules as a list."""
