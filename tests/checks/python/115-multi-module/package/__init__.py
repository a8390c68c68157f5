"""Package with a value and a submodule."""
VALUE = "package value"
print("package init", __name__)
