"""Warnings are recorded, turned into errors or ignored."""
import warnings
with warnings.catch_warnings(record=True) as w:
    warnings.simplefilter("always"); warnings.warn("careful"); warnings.warn("old", DeprecationWarning)
    print([(str(x.message), x.category.__name__, x.lineno) for x in w])
with warnings.catch_warnings():
    warnings.simplefilter("error")
    try: warnings.warn("now an error", UserWarning)
    except UserWarning as e: print("raised", e)
    warnings.simplefilter("ignore"); warnings.warn("nobody sees this")
print("done")
