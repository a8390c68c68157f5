"""Buffered output is written before the program ends with an error."""
import sys
for i in range(200): print("line", i, end=" " if i % 10 else "\n")
sys.stdout.write("no newline at the end")
raise GeneratorExit("not really")
