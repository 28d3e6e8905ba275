"""Tables as text: every layout gives the same ECG; rates from times; what is not said is asked for."""

import numpy as np
import pytest

from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from preprocessing.cohorts.simulator import simulate_ecg
from tests.damaged_files import check_refused

RATE = 500
ECG = np.round(simulate_ecg(1, RATE, 3.0)[0].astype(np.float64), 4)
TIMES = np.arange(ECG.shape[1]) / RATE


def rows(columns, separator=",", mark=".", digits=4):
    lines = zip(*columns, strict=True)
    return "\n".join(separator.join(f"{value:.{digits}f}".replace(".", mark) for value in line) for line in lines)


I_AND_II = ECG[:2]
TIMED = [TIMES, *I_AND_II]
WATCH = (
    'Name,"A B"\n{born},"Feb 1, 1980"\n{date},2020-05-06 07:08:09 +0200\nX,Y\nSymptome,\nVersion,1.90\n'
    'Device,"Watch6,2"\n{rate}\n\nL,{lead}\nU,µV\n\n'
)
ENGLISH = WATCH.format(born="Date of Birth", date="Recorded Date", rate="Sample Rate,500 hertz", lead="Lead I")
GERMAN = WATCH.format(born="Geburtsdatum", date="Aufzeichnungsdatum", rate="Abtastrate,500 Hertz", lead="Ableitung I")
CHINESE = WATCH.format(born="出生日期", date="记录日期", rate="采样率,500赫兹", lead="I")

LAYOUTS = {
    "header": ("I,II\n" + rows(I_AND_II), {"sampling_rate": RATE}),
    "times": ("time,I,II\n" + rows(TIMED), {}),
    "milliseconds and decimal commas": (
        "Time (ms);I (mV);II (mV)\n" + rows([TIMES * 1000, *I_AND_II], ";", ","),
        {},
    ),
    "microvolts and tabs": ("t[s]\tI[uV]\tII[µV]\n" + rows([TIMES, *(I_AND_II * 1000)], "\t"), {}),
    "blanks": ("# sampling rate: 500 Hz\nI II\n" + rows(I_AND_II, " "), {}),
    "key above": ("fs=500\nI,II\n" + rows(I_AND_II), {}),
    "units below": ("'time','I','II'\n'ms','uV','uV'\n" + rows([TIMES * 1000, *(I_AND_II * 1000)]), {}),
    "clock": (
        "'Elapsed time','I','II'\n'hh:mm:ss.mmm','mV','mV'\n"
        + "\n".join(f"'0:{t:06.3f}',{a:.4f},{b:.4f}" for t, a, b in zip(*TIMED, strict=True)),
        {},
    ),
    "dates": (
        "timestamp,I,II\n"
        + "\n".join(f"2020-05-06 07:08:{9 + t:06.3f},{a:.4f},{b:.4f}" for t, a, b in zip(*TIMED, strict=True)),
        {},
    ),
    "row numbers": (
        ",I,II\n" + "\n".join(f"{k},{a},{b}" for k, (a, b) in enumerate(I_AND_II.T)),
        {"sampling_rate": RATE},
    ),
    "quoted decimal commas": (
        '"time","I","II"\n'
        + "\n".join('"' + rows([[v] for v in row], '","', ",") + '"' for row in zip(*TIMED, strict=True)),
        {},
    ),
    "words beside": (
        "time,I,II,ppg,activity\n"
        + "\n".join(f"{t:.3f},{a:.4f},{b:.4f},{a * 20:.3f},walk" for t, a, b in zip(*TIMED, strict=True)),
        {},
    ),
    "no header, times": (rows([TIMES, *ECG], " ") + "\n", {}),
    "no header": (rows(ECG), {"sampling_rate": RATE}),
    "no header, named": (rows(I_AND_II), {"sampling_rate": RATE, "leads": ("I", "II")}),
    "leads in rows": (
        "\n".join(name + "," + ",".join(f"{v:.4f}" for v in lead) for name, lead in zip(LEADS, ECG, strict=True)),
        {"sampling_rate": RATE},
    ),
    "one column": ("II\n" + rows([ECG[1]], mark=","), {"sampling_rate": RATE}),
    "watch, English": (ENGLISH + rows([ECG[0] * 1000], digits=3), {}),
    "watch, German": (GERMAN + rows([ECG[0] * 1000], mark=",", digits=3), {}),
    "watch, Chinese": (CHINESE + rows([ECG[0] * 1000], digits=3), {}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_layout_gives_the_same_ecg(tmp_path, layout, encoding):
    text, options = LAYOUTS[layout]
    path = tmp_path / "rec.csv"
    path.write_bytes(text.encode(encoding))
    recording = read(path, **options)
    assert recording.sampling_rate == RATE
    np.testing.assert_allclose(recording.signal, ECG[[LEADS.index(lead) for lead in recording.leads]], atol=1e-7)
    if layout.startswith(("watch", "dates")):
        assert recording.start_time.isoformat() == "2020-05-06T07:08:09"
    assert "A B" not in repr(recording)


def write(tmp_path, text):
    path = tmp_path / "rec.csv"
    path.write_text(text)
    return path


def test_blank_cells_and_skipped_times_are_missing(tmp_path):
    lines = rows(TIMED).split("\n")
    lines[50] = "0.1000,,0.5"
    recording = read(write(tmp_path, "time,I,II\n" + "\n".join(lines[:100] + lines[130:])))
    assert recording.signal.shape == (2, len(TIMES))
    assert np.isnan(recording.signal[:, 100:130]).all() and np.isnan(recording.signal).sum() == 61
    np.testing.assert_allclose(recording.signal[:, 130:], I_AND_II[:, 130:])


@pytest.mark.parametrize("rate", [360, 257.0, 1000 / 3, 128])
def test_rates_of_rounded_times(tmp_path, rate):
    times = np.arange(len(TIMES)) / rate
    text = "\n".join(f"{t:.3f},{a},{b}" for t, a, b in zip(times, *I_AND_II, strict=True))
    recording = read(write(tmp_path, "time,I,II\n" + text))
    assert recording.sampling_rate == pytest.approx(rate, rel=1e-3 / times[-1] * 1.5)
    if rate == int(rate):
        assert recording.sampling_rate == rate
    np.testing.assert_allclose(recording.signal, I_AND_II)


def test_what_is_not_said_is_asked_for(tmp_path):
    check_refused(write(tmp_path, "I,II\n" + rows(I_AND_II)), "sampling_rate=500")
    check_refused(write(tmp_path, rows(I_AND_II)), "leads=", sampling_rate=RATE)
    check_refused(write(tmp_path, "a,b\n" + rows(I_AND_II)), "leads=", sampling_rate=RATE)
    recording = read(write(tmp_path, "a,b\n" + rows(I_AND_II)), sampling_rate=RATE, leads={"b": "V2"})
    assert recording.leads == ("V2",)
    np.testing.assert_allclose(recording.signal[0], ECG[1])


def test_what_is_no_table_is_refused(tmp_path):
    for text in ("", "hello\nworld\n", '{"a": 1}', "<xml/>"):
        check_refused(write(tmp_path, text))
    check_refused(write(tmp_path, "time,I\n" + "\n".join(f"{t},0.1" for t in (3, 1, 2, 0, 5))), "do not rise")
    check_refused(write(tmp_path, "I,II\n" + rows(I_AND_II) + "\n1,2,3,4\n"), sampling_rate=RATE)
