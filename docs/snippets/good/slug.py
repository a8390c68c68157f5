import re
import unicodedata


def slug(title: str) -> str:
    """The part of an address that a title becomes."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
