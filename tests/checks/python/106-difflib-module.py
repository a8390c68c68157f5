"""Differences and close matches."""
import difflib
a, b = "one two three four".split(), "one tow three five four".split()
print(*difflib.unified_diff(a, b, "old", "new", lineterm=""), sep="\n"); print(*difflib.ndiff(["abc", "xyz"], ["abd", "xyz"]), sep="\n"); print(*difflib.context_diff(a, b, lineterm=""), sep="\n")
s = difflib.SequenceMatcher(None, "abcd", "bcde"); print(s.ratio(), s.get_opcodes(), s.find_longest_match(), difflib.get_close_matches("appel", ["ape", "apple", "peach", "puppy"]))
