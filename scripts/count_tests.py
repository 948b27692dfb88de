#!/usr/bin/env python3
"""count_tests.py REPORT.xml: a ctest JUnit report as "passed failed skipped", then the failed, a line each."""

import sys
import xml.etree.ElementTree as xml


def main() -> int:
    passed, skipped, failed = 0, 0, []
    for case in xml.parse(sys.argv[1]).getroot().iter("testcase"):
        status = case.get("status")
        if status == "run":
            passed += 1
        elif status in ("notrun", "disabled") and case.find("failure") is None:
            skipped += 1
        else:
            failed.append(case.get("name"))
    print(passed, len(failed), skipped)
    print("\n".join(failed))
    return 0


sys.exit(main())
