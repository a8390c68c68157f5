"""input() until the end of the input, with prompts."""
total = 0
while True:
    try: line = input("> ")
    except EOFError:
        print("\nend", total); break
    if not line.strip(): print("(blank)"); continue
    try: total += int(line); print("total", total)
    except ValueError as e: print(e)
