"""Reading past the end of the input."""
name = input("name? ")
print("hello", name)
input("again? ")
