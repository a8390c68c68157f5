"""Modules that import each other, and one that fails to load."""
import ping
print(ping.pong.back(), ping.NAME)
try: import broken
except ValueError as e: print("load failed:", e)
import sys; print("broken" in sys.modules, "ping" in sys.modules)
import broken
