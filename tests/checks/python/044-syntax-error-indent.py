"""Bad indentation."""
if True:
print("never")
