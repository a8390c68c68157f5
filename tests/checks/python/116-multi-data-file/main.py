"""A program that reads a data file beside it, and one it imports."""
import json, pathlib
from shapes import area
data = json.loads(pathlib.Path("shapes.json").read_text(encoding="utf-8"))
for d in data: print(d["kind"], round(area(**d), 3))
print(sorted(p.name for p in pathlib.Path(".").iterdir() if p.suffix in (".json", ".py")))
