"""The bytes of the input."""
import sys
data = sys.stdin.buffer.read()
print(len(data), data[:20], data.decode("utf-8").upper())
