"""Notes follow the message."""
try:
    int("x1")
except ValueError as e:
    e.add_note("while reading the configuration")
    raise
