"""Complex arithmetic and printing."""
z = 3 + 4j
print(z, abs(z), z.conjugate(), z * z, z / (1 - 1j), z ** 2, -z, z == 3 + 4j, complex("1-2j"), complex(1, -0.0), 1j * 1j, z.real, z.imag)
print(f"{z:.2f} {z!r:>10}", [complex(0, 1), 1e10 + 0j], hash(z) == hash(3 + 4j), bool(0j))
try:
    print(z < 1)
except TypeError as e:
    print(e)
