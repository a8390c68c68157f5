"""What the agent does, apart from the host: so it can be tested without one."""


def greet(name):
    """A summary, and what is wrong if something is."""
    if not name.strip():
        return "there is nobody to greet", "the name is empty"
    return f"hello {name}", None
