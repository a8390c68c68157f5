"""A small virtual machine with labels, calls and errors."""
SRC = """push 5
store n
push 1
loop: load n
jz end
load n
mul
load n
push 1
sub
store n
jmp loop
end: print
call sub1
pop
halt
sub1: push 7
print
ret"""
def assemble(s):
    labels, code = {}, []
    for line in s.splitlines():
        if ":" in line: l, line = line.split(":", 1); labels[l] = len(code)
        code.append(line.split())
    return [(op, labels.get(a[0], a[0]) if a else None) for op, *a in code]
def run(code, limit=200):
    st, mem, calls, pc, n = [], {}, [], 0, 0
    while True:
        n += 1
        if n > limit: raise TimeoutError("step limit")
        op, a = code[pc]; pc += 1
        match op:
            case "push": st.append(int(a))
            case "pop": st.pop()
            case "load": st.append(mem[a])
            case "store": mem[a] = st.pop()
            case "mul" | "sub" | "add": y, x = st.pop(), st.pop(); st.append({"mul": x * y, "sub": x - y, "add": x + y}[op])
            case "print": print("out", st[-1])
            case "jmp": pc = a
            case "jz": pc = a if st.pop() == 0 else pc
            case "call": calls.append(pc); pc = a
            case "ret": pc = calls.pop()
            case "halt": return n, mem, st
            case _: raise ValueError(f"unknown {op} at {pc - 1}")
print(run(assemble(SRC)))
for bad in ("pop", "l: jmp l", "load q", "what 1", "push x", ""):
    try: run(assemble(bad))
    except Exception as e: print(bad, "->", type(e).__name__, e)
