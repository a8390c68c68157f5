"""An uncaught error with a cause shows both tracebacks."""
class ConfigError(Exception): pass
def load(key):
    try:
        return {"a": 1}[key]
    except KeyError as e:
        raise ConfigError(f"missing {e}") from e
print(load("a"))
load("zz")
