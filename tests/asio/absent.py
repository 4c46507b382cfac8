"""absent.py REASON: a test that can't be built here, so that it is counted."""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "support"))
import report


def case():
    raise report.Skip(sys.argv[1])


report.run([("kaio's files for Asio", case)])
