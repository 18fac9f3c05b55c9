import subprocess
import sys
import unittest

import tidegauge


class Mark(unittest.TestCase):
    def test_is_harmless_without_tidegauge(self):
        self.assertFalse(tidegauge.is_recording())
        self.assertIsNone(tidegauge.mark("start"))

    def test_takes_only_text(self):
        with self.assertRaisesRegex(TypeError, "a label is a str, not int"):
            tidegauge.mark(1)

    def test_takes_text_that_utf8_cannot_hold(self):
        tidegauge.mark("\udce9\0\N{WATER WAVE}")

    def test_import_needs_only_ctypes_and_what_comes_with_it(self):
        code = "import ctypes, typing, sys; a = set(sys.modules); import tidegauge; print(set(sys.modules) - a)"
        modules = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout.decode()
        self.assertEqual(modules.strip(), "{'tidegauge'}")


if __name__ == "__main__":
    unittest.main()
