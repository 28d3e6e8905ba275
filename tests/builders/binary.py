"""ECG files of recorders in binary formats."""

import binascii
import json
import struct

import numpy as np

SCP_CODES = {"I": 1, "II": 2, "V1": 3, "V2": 4, "V3": 5, "V4": 6, "V5": 7, "V6": 8}
SCP_CODES |= {"III": 61, "aVR": 62, "aVL": 63, "aVF": 64}


def scp(ecg, leads, rate, nanovolts=2500, huffman=False):
    """An SCP-ECG record without reference beat; ecg in mV, shape (n_leads, L)."""
    whole = np.rint(ecg * 1e6 / nanovolts).astype(int)

    def section(number, body):
        body += b"\0" * (len(body) % 2)
        rest = struct.pack("<HIBB6s", number, 16 + len(body), 20, 20, b"SCPECG" if number == 0 else b"") + body
        return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest

    tags = struct.pack("<BHHB", 4, 3, 61, 1) + struct.pack("<BHB", 8, 1, 2)
    tags += struct.pack("<BHHBB", 25, 4, 2019, 2, 28) + struct.pack("<BHBBB", 26, 3, 10, 11, 12)
    tags += struct.pack("<BH", 255, 0)
    n = ecg.shape[1]
    coded = [_huffman(lead) if huffman else lead.astype("<i2").tobytes() for lead in whole]
    bodies = {
        1: tags,
        3: struct.pack("<BB", len(leads), 4 | len(leads) << 3)
        + b"".join(struct.pack("<IIB", 1, n, SCP_CODES[lead]) for lead in leads),
        6: struct.pack("<HHBB", nanovolts, round(1e6 / rate), 2 if huffman else 0, 0)
        + struct.pack(f"<{len(coded)}H", *map(len, coded))
        + b"".join(coded),
    }
    if huffman:
        bodies[2] = struct.pack("<H", 19999)
    sections = {number: section(number, bodies[number]) for number in sorted(bodies)}
    place = 7 + 16 + 10 * 12
    pointers = struct.pack("<HII", 0, 16 + 120, 7)
    for number in range(1, 12):
        length = len(sections.get(number, b""))
        pointers += struct.pack("<HII", number, length, place if length else 0)
        place += length
    content = section(0, pointers) + b"".join(sections.values())
    content = struct.pack("<I", len(content) + 6) + content
    return struct.pack("<H", binascii.crc_hqx(content, 0xFFFF)) + content


def _huffman(lead):
    """Second differences in the standard's default code."""
    values = [*lead[:2], *(lead[2:] - 2 * lead[1:-1] + lead[:-2])]
    bits = ""
    for value in map(int, values):
        if value == 0:
            bits += "0"
        elif abs(value) <= 8:
            bits += "1" * abs(value) + "0" + ("1" if value < 0 else "0")
        elif -128 <= value < 128:
            bits += "1111111110" + f"{value & 0xFF:08b}"
        else:
            bits += "1111111111" + f"{value & 0xFFFF:016b}"
    bits += "0" * (-len(bits) % 16)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def mfer(ecg, leads, microvolts=2.5, interval_us=2000, gap=None):
    """An MFER file; ecg in mV, shape (n_leads, L)."""
    codes = SCP_CODES
    whole = np.rint(ecg * 1000 / microvolts).astype("<i2")
    if gap:
        whole[gap] = -32768

    def tag(number, value):
        length = len(value)
        size = bytes([length]) if length < 128 else bytes([0x84]) + length.to_bytes(4, "big")
        return bytes([number]) + size + value

    content = tag(0x40, b"MFR ".ljust(32)) + tag(0x01, b"\x01")
    content += tag(0x83, bytes([61, 0, 0])) + tag(0x84, b"\x02")
    content += tag(0x85, struct.pack("<HBBBBBHH", 2019, 2, 28, 10, 11, 12, 0, 0))
    content += tag(0x0B, bytes([1, 0xFA]) + struct.pack("<i", interval_us))  # 1e-6 s
    content += tag(0x0C, bytes([0, 0xF9]) + struct.pack("<i", round(microvolts * 10)))  # 1e-7 V
    content += tag(0x12, struct.pack("<h", -32768)) + tag(0x0A, b"\0")
    content += tag(0x05, bytes([len(leads)])) + tag(0x04, struct.pack("<I", ecg.shape[1])) + tag(0x06, b"\x01")
    for number, lead in enumerate(leads):
        content += b"\x3f" + bytes([number]) + bytes([3]) + b"\x09\x01" + bytes([codes[lead]])
    return content + tag(0x1E, whole.tobytes()) + b"\x80\0"


def ishne(ecg, leads, rate, nanovolts=2500, extra=0):
    """An ISHNE Holter file; ecg in mV, shape (n_leads, L), NaN for a fault."""
    codes = {lead: code for code, lead in enumerate("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6".split(), start=5)}
    whole = np.where(np.isnan(ecg), -32768, np.rint(np.nan_to_num(ecg) * 1e6 / nanovolts)).astype("<i2")
    n = len(leads)
    block = struct.pack("<iiiih", extra, ecg.shape[1], 522, 522 + extra, 1)
    block += b"Some".ljust(40) + b"Body".ljust(40) + b"1".ljust(20) + struct.pack("<hh", 2, 0)
    block += struct.pack("<12h", 4, 3, 1950, 28, 2, 2019, 1, 3, 2019, 10, 11, 12)
    block += struct.pack("<h", n) + struct.pack("<12h", *[codes[lead] for lead in leads], *[-9] * (12 - n))
    block += struct.pack("<12h", *[1] * n, *[-9] * (12 - n)) + struct.pack("<12h", *[nanovolts] * n, *[-9] * (12 - n))
    block += struct.pack("<h", 0) + b"digital".ljust(40) + struct.pack("<h", rate)
    block = block.ljust(512, b"\0") + bytes(extra)
    return b"ISHNE1.0" + struct.pack("<H", binascii.crc_hqx(block, 0xFFFF)) + block + whole.T.tobytes()


def kardia(ecg, leads, rate, nanovolts=500):
    """JSON of Kardia; ecg in mV, shape (n_leads, L), NaN where missing."""
    names = {"I": "leadI", "II": "leadII", "III": "leadIII", "aVR": "AVR", "aVL": "AVL", "aVF": "AVF"}
    samples = {
        names[lead]: [None if np.isnan(v) else round(v * 1e6 / nanovolts) for v in row]
        for lead, row in zip(leads, ecg, strict=True)
    }
    block = {"frequency": rate, "mainsFrequency": 50, "amplitudeResolution": nanovolts, "samples": samples}
    whole = {"id": "x", "patientID": "secret", "recordedAt": "2019-02-28T10:11:12Z", "data": {"raw": block}}
    return json.dumps(whole).encode()
