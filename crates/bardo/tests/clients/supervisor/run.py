"""Runs Supervisor's own end-to-end tests; whatever they start with Python is started
with the program of the first argument."""
import os
import sys
import unittest

# The package lacks a program that one of its tests starts, so that this one fails against
# Supervisor itself. What it has to write is in the test.
HELLO = """for number in 1 2 3 4 5 6 7 8 9 10; do
  echo "The Øresund bridge ends in Malmö - $number"
  sleep 1
done
"""

os.environ["REAL_PYTHON"] = sys.executable
sys.executable = sys.argv[1]
from supervisor.tests import test_end_to_end

hello = os.path.join(os.path.dirname(test_end_to_end.__file__), "fixtures", "hello.sh")
if not os.path.exists(hello):
    with open(hello, "w", encoding="utf-8") as file:
        file.write(HELLO)

unittest.main(module=test_end_to_end, argv=[sys.argv[0], "-v"])
