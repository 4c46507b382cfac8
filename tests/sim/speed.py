#!/usr/bin/env python3
"""speed.py SPEED: what a simulated request costs, in instructions (cachegrind, the difference of two run lengths). They
do not depend on how busy the machine is. Most of them copy bytes. docs/simulation.md has requests per second."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import cachegrind
import report

program = sys.argv[1]
short, long = 10_000, 30_000
limits = {"read": 2500, "write": 4000}


def cheap(form):
    def case():
        cost = cachegrind.per_request(program, form, short, long)
        print(f"{form}: {cost:.0f} instructions per simulated request")
        return None if cost <= limits[form] else f"{cost:.0f} instructions per request; more than {limits[form]}"

    return case


cases = [(f"a simulated {form} costs at most {limit} instructions", cheap(form)) for form, limit in limits.items()]
report.run(cases, workers=2)
