"""Opening a file that does not exist."""
print("opening")
with open("no_such_file.txt") as f: print(f.read())
