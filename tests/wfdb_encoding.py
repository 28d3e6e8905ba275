"""Samples in the formats of WFDB that no package writes, packed as signal(5) of the WFDB Applications Guide says."""

import numpy as np


def encode(values, fmt):
    """Packs whole numbers, in the order of the file, into bytes."""
    values = np.asarray(values, dtype=np.int64).reshape(-1)
    if fmt in ("16", "32", "61"):
        return values.astype({"16": "<i2", "32": "<i4", "61": ">i2"}[fmt]).tobytes()
    if fmt == "24":
        return values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    if fmt == "80":
        return (values + 128).astype(np.uint8).tobytes()
    if fmt == "160":
        return (values + 32768).astype("<u2").tobytes()
    if fmt == "212":
        a, b = (np.pad(values, (0, len(values) % 2)) & 0xFFF).reshape(-1, 2).T
        packed = np.stack([a & 0xFF, (a >> 8) | ((b >> 8) << 4), b & 0xFF], axis=1).astype(np.uint8).tobytes()
        return packed[: -(-len(values) * 3 // 2)]
    a, b, c = (np.pad(values, (0, -len(values) % 3)) & 0x3FF).reshape(-1, 3).T
    if fmt == "310":
        return np.stack([(a << 1) | ((c & 0x1F) << 11), (b << 1) | ((c >> 5) << 11)], axis=1).astype("<u2").tobytes()
    if fmt == "311":
        return (a | (b << 10) | (c << 20)).astype("<u4").tobytes()
    raise ValueError(f"format {fmt} is not written here")


def write_encoded(folder, name, digital, fmt, rate=100, gain="100/mV", leads=("I", "II", "V1"), extra="", length=None):
    """Writes whole numbers, shape (L, n), as a WFDB record; those of format 8 are differences from the first."""
    digital = np.asarray(digital)
    folder.mkdir(parents=True, exist_ok=True)
    data = digital if fmt != "8" else np.diff(digital, axis=0, prepend=digital[:1])
    packed = data.astype(np.int8).tobytes() if fmt == "8" else encode(data, fmt)
    (folder / f"{name}.dat").write_bytes(packed)
    lines = [f"{name} {digital.shape[1]} {rate} {len(digital) if length is None else length}"]
    for column, lead in zip(digital.T, leads, strict=False):
        checksum = int(column.sum()) % 65536
        lines.append(f"{name}.dat {fmt}{extra} {gain} 0 0 {column[0]} {checksum} 0 {lead}")
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")
    return folder / name
