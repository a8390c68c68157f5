"""Files in the working folder: writing, reading, listing, removing."""
import os, pathlib, shutil
p = pathlib.Path("data_dir"); p.mkdir(); (p / "a.txt").write_text("héllo\nworld\n", encoding="utf-8"); (p / "b.bin").write_bytes(b"\x00\x01")
with open(p / "a.txt", encoding="utf-8") as f: print(f.readline(), f.tell(), f.read(), f.name == os.path.join("data_dir", "a.txt"), f.mode)
with open(p / "a.txt", "a", encoding="utf-8") as f: print("more", file=f)
with open(p / "a.txt", "r+", encoding="utf-8") as f: f.seek(0); f.write("J"); f.seek(0); print(f.read().splitlines())
print(sorted(os.listdir(p)), sorted(x.name for x in p.glob("*.txt")), (p / "b.bin").stat().st_size, (p / "a.txt").exists(), p.is_dir(), (p / "x/y.tar.gz").suffixes, pathlib.PurePosixPath("/a/b/../c").parts, os.path.splitext("f.tar.gz"), os.path.normpath("a//b/../c/."), os.path.basename("/x/"), (p / "a.txt").with_suffix(".md").name, p.joinpath("q", "r").parent.name)
os.rename(p / "b.bin", p / "c.bin"); os.remove(p / "c.bin"); shutil.copy(p / "a.txt", p / "copy.txt"); print(sorted(os.listdir(p)), [(r, sorted(d), sorted(f)) for r, d, f in os.walk(p)])
for f in (lambda: open("missing.txt"), lambda: p.mkdir(), lambda: open(p / "a.txt", "x"), lambda: p.rmdir(), lambda: open("a", "zz"), lambda: os.remove("nope")):
    try: f()
    except Exception as e: print(type(e).__name__, getattr(e, "strerror", None))
shutil.rmtree(p); print(p.exists())
