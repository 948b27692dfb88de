#!/usr/bin/env python3
"""tidy.py [--build DIR]: what the compiler cannot check about the tree. Prints FILE:LINE: REASON, fails on any.

The include matrix is recomputed from `#include "room/..."` and held against the floors of docs/architecture.md.
Tests (*_test.cc, testing* and fake_*), examples/, bench/, fuzz/ and tests/ may include what they like.
"""

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_FUNCTION, MAX_FILE = 70, 1000

# Room: the rooms it may include beside its own. An entry with a slash is a single header of a room.
MAY_INCLUDE = {
    "base": "",
    "model": "base",
    "planner": "model base",
    "ledger": "model base",
    "auth": "model base",
    "net": "base",
    "sim": "planner ledger model base",
    "seams": "net/task.h net/fd.h model base",
    "runtime": "seams net model base",
    "images": "seams net model base",
    "gpu": "seams net model base shim/budget.h shim/process.h shim/front_writer.h",
    "store": "seams net model base",
    "telemetry": "seams net model base",
    "conductor": "planner ledger seams net model base",
    "gateway": "conductor auth net model base",
    "api": "conductor auth seams net model base",
    "daemon": "api gateway conductor runtime images gpu store telemetry seams sim net auth ledger planner model base",
    "cli": "net auth sim ledger model base",
    "main.cc": "daemon cli base",
    "shim": "",
    "launcher": "base runtime/protocol.h runtime/protocol_fields.h runtime/wire.h",
}
CODE_FOLDERS = ("src", "launcher", "shim", "examples", "bench", "fuzz", "tests")
TEXT_FOLDERS = CODE_FOLDERS + ("cmake", "docs", "scripts", ".ci")
TEXT_NAMES = {".cc", ".h", ".c", ".py", ".sh", ".md", ".txt", ".cmake", ".yaml", ".json", ".mjs", ".ts"}

CLOCK = re.compile(r"\b(system_clock|steady_clock|high_resolution_clock)::now\b"
                   r"|(?<![\w.>])(clock_gettime|gettimeofday|timespec_get)\s*\("
                   r"|(?<![\w.>])time\s*\(\s*(nullptr|NULL|0)\s*\)")
# The conductor owns the civil clock of the daemon; the CLI dates its signatures; a loop and a log need one.
CLOCK_OWNERS = ("src/conductor/clock", "src/cli/wall_clock", "src/net/loop", "src/base/log", "launcher/")
# The loop's own sleep is a member: `loop.sleep(...)` and its definition do not match.
SLEEP = re.compile(r"(?<![\w.>:])(::)?(std::this_thread::)?(sleep|usleep|nanosleep|sleep_for|sleep_until)\s*\(")
# The freezer is confirmed by re-reading within microseconds: the kernel delays its notification by 10 ms.
SLEEP_OWNERS = ("src/net/loop", "launcher/cgroup", "src/runtime/native_runtime")
RANDOM = re.compile(r"(?<![\w.>])(std::)?s?rand\s*\(|\brandom_device\b")
RANDOM_OWNERS = ("src/base/random",)
JSON_ROOMS = ("api", "store", "cli", "images")
PLACEHOLDER = re.compile(r"\b(TO[D]O|FIX[M]E)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/wor[k]/")
DOC = re.compile(r"(?<![\w/.-])docs/[\w/-]+\.md")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
# A comment, a raw string, a string or a character: whatever must not be read as code.
NOT_CODE = re.compile(r"//[^\n]*|/\*.*?\*/|R\"(\w*)\(.*?\)\1\"|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)


class Source:
    def __init__(self, path: Path):
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text(encoding="utf-8", errors="replace")
        self.code = NOT_CODE.sub(blank, self.text)

    def room(self) -> str:
        parts = self.name.split("/")
        return parts[1] if parts[0] == "src" else parts[0]

    def free(self) -> bool:
        """Test code and programs beside the system: no floors, and their own ways to wait."""
        inner = self.name.split("/")[1:]
        return (not self.name.startswith(("src/", "launcher/", "shim/")) or self.path.stem.endswith(("_test", "_bench"))
                or self.path.stem.startswith("fake_")
                or any(part.startswith("testing") for part in inner))


def blank(match: re.Match) -> str:
    return re.sub(r"[^\n]", " ", match.group(0))


def line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def files(folders, suffixes):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            ignored = {"node_modules", "corpus", "__pycache__"} & set(path.parts)
            if path.is_file() and not ignored and (path.suffix in suffixes or (folder == ".ci" and not path.suffix)):
                yield path


def check_includes(source: Source):
    room = source.room()
    allowed = MAY_INCLUDE.get(room)
    if allowed is None:
        yield 1, f"room {room} has no floor: add it to docs/architecture.md and scripts/tidy.py"
        return
    for match in INCLUDE.finditer(source.text):
        target = match.group(2)
        other = target.split("/")[0]
        if match.group(1) == "<" or "/" not in target or other == room:
            continue
        if other not in MAY_INCLUDE or not ({other, target} & set(allowed.split())):
            yield line_of(source.text, match.start()), f"{room} may not include {target} (floors: docs/architecture.md)"


def check_boost(source: Source):
    if source.path.suffix != ".h" or source.name == "src/net/task.h" or source.path.stem.endswith("_impl"):
        return
    for match in INCLUDE.finditer(source.text):
        target = match.group(2)
        if target.startswith("boost/json") and source.room() in JSON_ROOMS:
            continue
        if target.startswith("boost/"):
            yield line_of(source.text, match.start()), f"a public header includes {target}"


def check_calls(source: Source):
    for pattern, owners, what in ((CLOCK, CLOCK_OWNERS, "the clock belongs to conductor/real_clock and net/loop"),
                                  (SLEEP, SLEEP_OWNERS, "nothing sleeps: use the loop's timers or a poll"),
                                  (RANDOM, RANDOM_OWNERS, "randomness is base/random.h, seeded")):
        if source.name.startswith(owners):
            continue
        for match in pattern.finditer(source.code):
            yield line_of(source.code, match.start()), f"banned call {match.group(0).strip()}: {what}"


def without_preprocessor(code: str) -> str:
    return re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", blank, code, flags=re.M)


def functions(code: str):
    """(first line, last line) of each function body that stands in a namespace or class, signature included."""
    stack, head, head_at, last = [], "", 0, None
    for at, letter in enumerate(without_preprocessor(code)):
        if letter == "{":
            kind, start = block_kind(head, head_at, stack, last)
            stack.append((kind, start, head, head_at))
            head = "" if kind != "inner" else head
        elif letter == "}" and stack:
            kind, start, before, before_at = stack.pop()
            if kind == "function":
                last = start
                yield line_of(code, start), line_of(code, at)
            head, head_at = (before + "{}", before_at) if kind == "inner" else ("", 0)
        elif letter == ";" and head.count("(") <= head.count(")"):
            head, last = "", None
        else:
            if not head.strip() and not letter.isspace():
                head, head_at = "", at
            head += letter


def block_kind(head, head_at, stack, last):
    text = re.sub(r"^(\s*(public|private|protected)\s*:)+", "", head).strip()
    plain = re.sub(r"template\s*<[^{}]*?>\s*(?=[\w\[:(])", "", text)
    if any(entry[0] != "scope" for entry in stack) or text.count("(") > text.count(")"):
        return "inner", head_at
    if last is not None and (not text or text.startswith(",")):  # after `: member_{...}`
        return "function", last
    if re.search(r"\b(namespace|extern)\b", plain) or (
            re.match(r"(\w+\s+)*(class|struct|union|enum)\b", plain) and ")" not in plain):
        return "scope", head_at
    return ("function" if ")" in text else "inner"), head_at


def check_sizes(source: Source):
    lines = source.text.count("\n")
    if source.text.startswith("// Written by "):
        return  # a program's output is as long as its data
    if lines > MAX_FILE:
        yield 1, f"{lines} lines, at most {MAX_FILE}"
    if source.path.name.startswith("testing_"):
        return  # tables of test data are as long as their data
    longest = {}
    for first, last in functions(source.code):
        longest[first] = max(last, longest.get(first, 0))
    for first, last in longest.items():
        if last - first + 1 > MAX_FUNCTION:
            yield first, f"a function of {last - first + 1} lines, at most {MAX_FUNCTION}"


def check_text(path: Path):
    text = path.read_text(encoding="utf-8", errors="replace")
    for match in PLACEHOLDER.finditer(text):
        yield line_of(text, match.start()), f"{match.group(0)}: do it, or write an issue"
    for match in MACHINE_PATH.finditer(text):
        yield line_of(text, match.start()), "a path of one machine"
    for match in DOC.finditer(text):
        if not (ROOT / match.group(0)).is_file():
            yield line_of(text, match.start()), f"{match.group(0)} does not exist"


def built_sources(build: Path):
    database = build / "compile_commands.json"
    if not database.is_file():
        return None
    return {str(Path(entry["directory"], entry["file"]).resolve()) for entry in json.loads(database.read_text())}


def check_built(source: Source, built):
    """In the build, or named by the nearest CMakeLists.txt (an optional target, a fuzz target)."""
    if source.path.suffix not in (".cc", ".c") or str(source.path) in built:
        return
    for folder in source.path.parents:
        if (folder / "CMakeLists.txt").is_file():
            words = set(re.findall(r"\w+", (folder / "CMakeLists.txt").read_text()))
            if not words & {source.path.stem, source.path.stem.removeprefix("fuzz_")}:
                yield 1, "is in no build: name it in CMakeLists.txt or remove it"
            return
        if folder == ROOT:
            return


def problems(built):
    for path in files(CODE_FOLDERS, {".cc", ".h", ".c"}):
        source = Source(path)
        checks = [check_sizes(source)]
        if built is not None:
            checks.append(check_built(source, built))
        if not source.free():
            checks += [check_includes(source), check_boost(source), check_calls(source)]
        for check in checks:
            for line, reason in check:
                yield source.name, line, reason
    tops = [path for path in sorted(ROOT.iterdir())
            if path.is_file() and path.name != ".git" and (path.suffix in TEXT_NAMES or not path.suffix)]
    for path in [*files(TEXT_FOLDERS, TEXT_NAMES), *tops]:
        for line, reason in check_text(path):
            yield path.relative_to(ROOT).as_posix(), line, reason


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--build", type=Path, help="a build folder: checks that every source is built")
    build = arguments.parse_args().build
    found = sorted(problems(built_sources(build) if build else None))
    for name, line, reason in found:
        print(f"{name}:{line}: {reason}")
    print(f"tidy: {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
