"""unittest.main with failures exits with 1."""
import unittest
class T(unittest.TestCase):
    @classmethod
    def setUpClass(cls): print("class up")
    def test_ok(self): self.assertTrue(True)
    def test_fail(self): self.assertEqual({"a": 1}, {"a": 2}, "custom message")
    def test_error(self): raise RuntimeError("broken")
    @unittest.expectedFailure
    def test_expected(self): self.assertIn(1, [])
unittest.main(verbosity=0)
