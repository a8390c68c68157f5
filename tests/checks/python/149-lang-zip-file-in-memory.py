"""Archives and compressed data in memory."""
import gzip, io, tarfile, zipfile, zlib
b = io.BytesIO()
with zipfile.ZipFile(b, "w", zipfile.ZIP_DEFLATED) as z: z.writestr("a.txt", "hello " * 50); z.writestr("d/b.txt", "é")
with zipfile.ZipFile(b) as z: print(z.namelist(), z.read("d/b.txt").decode(), z.getinfo("a.txt").file_size, z.testzip())
print(gzip.decompress(gzip.compress(b"data" * 9)), zlib.decompressobj().decompress(zlib.compress(b"q" * 20)), zipfile.is_zipfile(io.BytesIO(b"no")))
t = io.BytesIO()
with tarfile.open(fileobj=t, mode="w") as f: i = tarfile.TarInfo("x"); i.size = 3; f.addfile(i, io.BytesIO(b"abc"))
t.seek(0)
with tarfile.open(fileobj=t) as f: print(f.getnames(), f.extractfile("x").read())
try: zlib.decompress(b"junk")
except zlib.error as e: print(type(e).__name__)
