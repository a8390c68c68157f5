"""doctest passes and fails; the report is on stdout."""
import doctest
def good(x):
    """
    >>> good(2)
    4
    >>> good("a")
    Traceback (most recent call last):
        ...
    TypeError: can't multiply sequence by non-int of type 'str'
    >>> print("a\\n\\nb")
    a
    <BLANKLINE>
    b
    >>> list(range(20))  # doctest: +ELLIPSIS
    [0, 1, ..., 19]
    """
    return x * x
r = doctest.testmod(); print(r.failed, r.attempted)
p = doctest.DocTestParser().get_examples(">>> 1 + 1\n2\n>>> x\n3\n"); print([(e.source, e.want) for e in p])
