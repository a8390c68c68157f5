"""True counts as 1."""
raise SystemExit(True)
