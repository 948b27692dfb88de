#!/usr/bin/env python3
"""Collects what a small test machine boots from. Standard library only.

  gather.py programs ROOT FILE...       copies each file to the same path below ROOT, with the shared
                                        libraries that ldd names; a directory is copied whole
  gather.py modules KERNEL_DIR OUT NAME...
                                        copies kernel modules and all they depend on to OUT as
                                        NN-name.ko, so that loading them in sorted order works; a name
                                        that is not a module is taken to be built in and reported
"""
import os
import re
import shutil
import subprocess
import sys


def copy(path, root):
    target = os.path.join(root, path.lstrip("/"))
    if os.path.exists(target):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(path):
        shutil.copytree(path, target, symlinks=True)
    else:
        shutil.copy2(path, target)  # follows links: a library's name and its file are one here


def libraries(path):
    with open(path, "rb") as file:
        if file.read(4) != b"\x7fELF":
            return []
    listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    if "not found" in listing.stdout:
        sys.exit(f"{path} needs a library that is not here:\n{listing.stdout}")
    # "libx.so.1 => /lib/libx.so.1 (0x…)" and "/lib64/ld-linux-x86-64.so.2 (0x…)"
    return re.findall(r"(/\S+) \(0x", listing.stdout)


def gather_programs(root, files):
    for path in map(os.path.abspath, files):
        if not os.path.exists(path):
            sys.exit(f"{path} does not exist")
        copy(path, root)
        for library in [] if os.path.isdir(path) else libraries(path):
            copy(library, root)


def dependencies(path):
    """The `depends=` entry of the module's .modinfo section: strings that end in a zero byte."""
    with open(path, "rb") as file:
        found = re.search(rb"\0depends=([^\0]*)\0", file.read())
    return found.group(1).decode().split(",") if found and found.group(1) else []


def gather_modules(kernel, out, names):
    files = {}
    for folder, _, entries in os.walk(kernel):
        for entry in entries:
            if entry.endswith(".ko"):
                files[entry[:-3].replace("-", "_")] = os.path.join(folder, entry)
    order = []

    def add(name):
        name = name.replace("-", "_")
        if name in order:
            return
        if name not in files:
            print(f"{name} is not a module of this kernel: taken to be built in", file=sys.stderr)
            return
        for needed in dependencies(files[name]):
            add(needed)
        order.append(name)

    for name in names:
        add(name)
    os.makedirs(out, exist_ok=True)
    for number, name in enumerate(order):
        shutil.copy(files[name], os.path.join(out, f"{number:02d}-{name}.ko"))


def main():
    if len(sys.argv) > 3 and sys.argv[1] == "programs":
        gather_programs(sys.argv[2], sys.argv[3:])
    elif len(sys.argv) > 4 and sys.argv[1] == "modules":
        gather_modules(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
