"""Results of a suite as data."""
import io, unittest
class T(unittest.TestCase):
    def test_1(self): self.assertAlmostEqual(0.1 + 0.2, 0.3)
    def test_2(self): self.assertEqual([1, 2], [1, 3])
    def test_3(self): self.assertRegex("abc", r"^a.c$"); self.assertCountEqual([2, 1], [1, 2]); self.assertIsNone(None)
    def test_4(self): 1 / 0
s = unittest.defaultTestLoader.loadTestsFromTestCase(T); r = unittest.TextTestRunner(stream=io.StringIO()).run(s)
print(r.testsRun, len(r.failures), len(r.errors), r.wasSuccessful(), [t.id().split(".")[-1] for t, _ in r.failures], r.failures[0][1].strip().splitlines()[-6:])
from unittest import mock
m = mock.Mock(return_value=5, side_effect=None); print(m(1, k=2), m.call_args, m.call_count, m.attr.deep() is m.attr.deep()); m.assert_called_once_with(1, k=2)
with mock.patch("builtins.len", lambda x: 99): print(len([]))
print(len([])); d = {"a": 1}
with mock.patch.dict(d, {"b": 2}): print(d)
print(d, mock.MagicMock().__len__())
