"""An uncaught exception group."""
print("start", flush=True)
raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])
