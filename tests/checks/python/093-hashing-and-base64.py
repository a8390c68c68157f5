"""Digests, checksums and text encodings of bytes."""
import base64, binascii, hashlib, hmac, zlib
for n in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b"): print(n, hashlib.new(n, b"hello").hexdigest()[:32])
h = hashlib.sha256(); h.update(b"hel"); h.update(b"lo"); print(h.hexdigest() == hashlib.sha256(b"hello").hexdigest(), h.digest_size, hmac.new(b"k", b"msg", "sha256").hexdigest()[:16], hashlib.pbkdf2_hmac("sha256", b"p", b"s", 10).hex()[:16], zlib.crc32(b"hello"), zlib.adler32(b"hello"), zlib.decompress(zlib.compress(b"a" * 100)) == b"a" * 100)
print(base64.b64encode(b"\x00\xffhi"), base64.b64decode("AP9oaQ=="), base64.urlsafe_b64encode(b"\xfb\xff"), base64.b32encode(b"hi"), base64.b16encode(b"hi"), base64.b85encode(b"hello"), base64.a85encode(b"hello"), binascii.hexlify(b"ab"), binascii.unhexlify("6162"))
for f in (lambda: base64.b64decode("a"), lambda: base64.b16decode("zz"), lambda: bytes.fromhex("abc")):
    try: print(f())
    except ValueError as e: print(type(e).__name__)
