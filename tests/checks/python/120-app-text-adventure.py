"""A graph of rooms with a scripted walk."""
rooms = {"hall": {"n": "library", "e": "kitchen"}, "library": {"s": "hall"}, "kitchen": {"w": "hall", "d": "cellar"}, "cellar": {"u": "kitchen"}}
at, seen = "hall", {"hall"}
for step in input().split():
    nxt = rooms[at].get(step)
    if nxt is None: print(f"no way {step!r} from {at}"); continue
    at = nxt; print(f"{'re-' if at in seen else ''}entered {at}", *sorted(rooms[at]), sep=" | "); seen.add(at)
print(len(seen), "of", len(rooms), "missing:", sorted(rooms.keys() - seen))
