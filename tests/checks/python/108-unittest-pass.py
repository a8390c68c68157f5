"""unittest.main with passing tests exits with 0."""
import unittest
class T(unittest.TestCase):
    def setUp(self): self.x = [1]
    def test_a(self): self.assertEqual(self.x, [1]); print("a ran")
    def test_b(self):
        with self.assertRaises(KeyError) as c: {}["q"]
        self.assertEqual(str(c.exception), "'q'")
        for i in range(3):
            with self.subTest(i=i): self.assertLess(i, 3)
    @unittest.skip("later")
    def test_c(self): self.fail()
    def tearDown(self): print("down")
unittest.main()
