#!/usr/bin/env python3
"""count_tests.py REPORT.xml: a ctest JUnit report as "passed failed skipped", then the failed, a line each."""

import sys
import xml.etree.ElementTree as xml


def skip_reason(case) -> str:
    """SKIP_... when the test itself said so; anything else: it could not be run, which is a failure."""
    skip = case.find("skipped")
    return "" if skip is None else skip.get("message", "")


def main() -> int:
    passed, skipped, failed = 0, 0, []
    for case in xml.parse(sys.argv[1]).getroot().iter("testcase"):
        status = case.get("status")
        if status == "run":
            passed += 1
        elif status == "disabled" or (status == "notrun" and skip_reason(case).startswith("SKIP_")):
            skipped += 1
        else:
            failed.append(case.get("name"))
    print(passed, len(failed), skipped)
    print("\n".join(failed))
    return 0


sys.exit(main())
