#!/usr/bin/env python3
"""Makes an OCI image layout from root file systems, with nothing but Python's standard library.

  make_image.py --out LAYOUT --layer ROOTFS_DIR_OR_TAR [--layer ...] [--entrypoint A --entrypoint B]
                [--cmd ...] [--env K=V] [--workdir /] [--user 0:0] [--label K=V] [--port 9000]
                [--ref latest] [--arch amd64] [--mtime SECONDS] [--level 6]

Each --layer is one layer, lowest first: a directory (packed with sorted names, numeric owners, hard
links and extended attributes kept) or a plain tar (taken as it is); --rootfs DIR and --tar FILE say
the same and check which it is. The same input gives the same digests. Times are kept, because
Python trusts a .pyc only while its source's time is the one it recorded; --mtime sets them all.
The architecture is this machine's unless --arch says otherwise.
The layout is written beside its final name and renamed, so that a broken run leaves no half image.
"""
import argparse
import hashlib
import json
import os
import platform
import shutil
import stat
import sys
import tarfile
import zlib


class LayerWriter:
    """A file object for tarfile that compresses, and knows both digests of what went through."""

    def __init__(self, path, level):
        self._file = open(path, "wb")
        # wbits 31: a gzip frame with no name and time 0, so that it is the same every time.
        self._gzip = zlib.compressobj(level, zlib.DEFLATED, 31)
        self._plain = hashlib.sha256()
        self._packed = hashlib.sha256()
        self.size = 0

    def write(self, data):
        self._plain.update(data)
        self._put(self._gzip.compress(data))
        return len(data)

    def _put(self, packed):
        self._packed.update(packed)
        self._file.write(packed)
        self.size += len(packed)

    def close(self):
        self._put(self._gzip.flush())
        self._file.close()

    @property
    def diff_id(self):
        return "sha256:" + self._plain.hexdigest()

    @property
    def digest(self):
        return "sha256:" + self._packed.hexdigest()


def add_xattrs(info, path):
    """Keeps extended attributes (file capabilities above all) as PAX records, as tar does."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return
    for name in sorted(names):
        if name.startswith(("security.capability", "user.")):
            value = os.getxattr(path, name, follow_symlinks=False)
            info.pax_headers["SCHILY.xattr." + name] = value.decode("utf-8", "surrogateescape")


def walk(root):
    """Relative paths below root, parents before children, names sorted by their bytes."""
    for entry in sorted(os.scandir(root), key=lambda e: os.fsencode(e.name)):
        yield entry.path
        if entry.is_dir(follow_symlinks=False):
            yield from walk(entry.path)


def tar_directory(root, out, mtime):
    links = {}  # (device, inode) -> name of the first
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT,
                      errors="surrogateescape") as tar:
        for path in walk(root):
            status = os.lstat(path)
            if stat.S_ISSOCK(status.st_mode):
                continue
            info = tar.gettarinfo(path, arcname=os.path.relpath(path, root))
            info.uname = info.gname = ""
            info.mtime = int(status.st_mtime) if mtime is None else mtime
            add_xattrs(info, path)
            tar.inodes.clear()  # hard links are found here: tarfile's own way depends on the order
            info.type, info.linkname = kind(info, status, links)
            if info.isreg():
                info.size = status.st_size
                with open(path, "rb") as source:
                    tar.addfile(info, source)
            else:
                info.size = 0
                tar.addfile(info)


def kind(info, status, links):
    if not stat.S_ISREG(status.st_mode):
        return info.type, info.linkname
    if status.st_nlink > 1:
        first = links.setdefault((status.st_dev, status.st_ino), info.name)
        if first != info.name:
            return tarfile.LNKTYPE, first
    return tarfile.REGTYPE, ""


def write_layer(source, blobs, mtime, level):
    temporary = os.path.join(blobs, "layer.partial")
    writer = LayerWriter(temporary, level)
    if os.path.isdir(source):
        tar_directory(source, writer, mtime)
    else:
        with open(source, "rb") as tar:
            shutil.copyfileobj(tar, writer, 1 << 20)
    writer.close()
    os.replace(temporary, os.path.join(blobs, writer.digest.removeprefix("sha256:")))
    return writer


def write_blob(blobs, document):
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(blobs, digest), "wb") as blob:
        blob.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def image_config(options, layers):
    config = {}
    for key, value in (("Entrypoint", options.entrypoint), ("Cmd", options.cmd),
                       ("Env", options.env), ("WorkingDir", options.workdir),
                       ("User", options.user)):
        if value:
            config[key] = value
    if options.label:
        config["Labels"] = dict(label.split("=", 1) for label in options.label)
    if options.port:
        config["ExposedPorts"] = {f"{options.port}/tcp": {}}
    return {"architecture": options.arch, "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}}


def write_layout(options, out):
    blobs = os.path.join(out, "blobs", "sha256")
    os.makedirs(blobs)
    layers = [write_layer(source, blobs, options.mtime, options.level) for source in options.layer]
    oci = "application/vnd.oci.image."
    config = write_blob(blobs, image_config(options, layers))
    config["mediaType"] = oci + "config.v1+json"
    manifest = write_blob(blobs, {
        "schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "config": config,
        "layers": [{"mediaType": oci + "layer.v1.tar+gzip", "digest": layer.digest,
                    "size": layer.size} for layer in layers]})
    manifest["mediaType"] = oci + "manifest.v1+json"
    manifest["annotations"] = {"org.opencontainers.image.ref.name": options.tag}
    for name, document in (("index.json", {"schemaVersion": 2, "manifests": [manifest]}),
                           ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
        with open(os.path.join(out, name), "w", encoding="utf-8") as file:
            json.dump(document, file)
    return manifest["digest"], sum(layer.size for layer in layers)


ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def existing_directory(path):
    if not os.path.isdir(path):
        raise argparse.ArgumentTypeError(f"'{path}' is not a directory")
    return path


def existing_file(path):
    if not os.path.isfile(path):
        raise argparse.ArgumentTypeError(f"'{path}' is not a file")
    return path


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--layer", action="append", default=[])
    parser.add_argument("--rootfs", dest="layer", action="append", type=existing_directory)
    parser.add_argument("--tar", dest="layer", action="append", type=existing_file)
    for name in ("entrypoint", "cmd", "env", "label"):
        parser.add_argument("--" + name, action="append", default=[])
    for name in ("workdir", "user", "port"):
        parser.add_argument("--" + name, default="")
    machine = platform.machine()
    parser.add_argument("--arch", default=ARCHITECTURES.get(machine, machine))
    parser.add_argument("--ref", "--tag", dest="tag", default="latest")
    parser.add_argument("--mtime", type=int)
    parser.add_argument("--level", type=int, default=6, choices=range(1, 10))
    options = parser.parse_args()
    if not options.layer:
        parser.error("name at least one --layer, --rootfs or --tar")
    for item in options.env + options.label:
        if "=" not in item:
            parser.error(f"'{item}' is not of the form NAME=VALUE")
    for source in options.layer:
        if not os.path.exists(source):
            parser.error(f"layer '{source}' does not exist")
    if os.path.exists(options.out) and not os.path.exists(os.path.join(options.out, "oci-layout")):
        if not os.path.isdir(options.out) or os.listdir(options.out):
            parser.error(f"'{options.out}' exists and is not an OCI image layout")
    return options


def main():
    options = parse_arguments()
    out = os.path.abspath(options.out)
    partial = f"{out}.partial.{os.getpid()}"
    os.makedirs(os.path.dirname(out), exist_ok=True)
    try:
        digest, size = write_layout(options, partial)
        if os.path.isdir(out):
            shutil.rmtree(out)
        os.rename(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    print(f"{digest} {size / 1e6:.1f} MB {options.out}")


if __name__ == "__main__":
    sys.exit(main())
