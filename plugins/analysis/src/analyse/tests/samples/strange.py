import pytest


@pytest.fixture(scope="module")
def numbers():
    return [1, 2, 3]


class TestNumbers:
    @pytest.mark.parametrize("value, expected", [(1, True), (2, False)])
    def test_odd(self, value, expected, numbers):
        assert (value % 2 == 1) is expected, f"{value} of {numbers}"

    def test_raises(self):
        with pytest.raises(ZeroDivisionError) as caught:
            _ = 1 / 0
        assert "division" in str(caught.value)


def test_scopes():
    x = [y for y in range(3) if (last := y) >= 0]
    assert last == 2 and x
    f = lambda a, *b, c=1, **d: (a, b, c, d)
    assert f(1)[0] == 1
    z = {**{"a": 1}, "b": 2}
    del z["a"]
    (p, q), *r = (1, 2), 3, 4
    assert [p, q, r]
    for i, j in enumerate("ab"):
        pass
    assert (i, j) == (1, "b")
    try:
        raise ExceptionGroup("e", [ValueError()])
    except* ValueError as group:
        assert group
    s = f"{'nested ' + f'{x!r:>{10}}'} {{literal}} {x=}"
    assert s and t"{s}"
    return None


def test_conditional():
    if test_scopes:
        value = 1
    else:
        value = 2
    assert value
    while True:
        try:
            unknown = 1
        finally:
            break
    assert unknown
