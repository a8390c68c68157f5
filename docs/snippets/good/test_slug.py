import pytest

from slug import slug


@pytest.mark.parametrize(
    "title, expected",
    [("Hello, World!", "hello-world"), ("Ünïcode  text", "unicode-text"), ("--", "")],
)
def test_slug(title, expected):
    assert slug(title) == expected
