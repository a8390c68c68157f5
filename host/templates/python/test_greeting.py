import unittest

from greeting import greet


class Greeting(unittest.TestCase):
    def test_greets_a_name(self):
        self.assertEqual(greet("you"), ("hello you", None))

    def test_finds_an_empty_name(self):
        self.assertEqual(greet(" ")[1], "the name is empty")


if __name__ == "__main__":
    unittest.main()
