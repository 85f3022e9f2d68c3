"""The report: whole, alone, true to its numbers, and strict about what it compares."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.data.synthetic.source import synthetic_face
from fiducia.errors import FiduciaError, UsageError
from fiducia.evaluation.evaluate import Evaluation, Settings, judge
from fiducia.evaluation.report import compare_with, evaluate_against, read_other, verdict, write_report
from fiducia.evaluation.report.face import mean_shape
from fiducia.evaluation.report.others import as_other
from fiducia.evaluation.report.pictures import apart, ranked
from fiducia.evaluation.report.svg import Series, chart, standalone
from fiducia.evaluation.sweep import summary
from fiducia.images import read_image, write_image
from fiducia.metrics.compare import paired_bootstrap
from fiducia.metrics.figures import reliability
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Record

STAMP: dict[str, Any] = {
    "data": "synthetic",
    "split": "test",
    "crop_source": "landmarks",
    "crop_scale": 0.8,
    "decode": "none",
    "size": 64,
    "weights": "ours",
    "runtime": "stub",
}
FILES = {
    *(
        "report.html",
        "report.md",
        "report.tex",
        "result.json",
        "faces.csv",
        "points.npz",
        "worst.jpg",
        "median.jpg",
        "best.jpg",
    ),
    *("ced.svg", "face.svg", "near.svg", "error.svg", "shift.svg", "scale.svg"),
}


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    folder = tmp_path_factory.mktemp("drawn")
    records = []
    for seed in range(8):
        picture, xy, visible = synthetic_face(seed, size=96)
        write_image(folder / f"{seed}.png", picture)
        tags = {"id": f"f{seed}", "part": "a" if seed < 5 else "b"}
        records.append(Record(image=folder / f"{seed}.png", xy=xy, visible=visible, scheme="ibug68", tags=tags))
    return records


Make = Callable[..., Evaluation]


@pytest.fixture
def make(faces: list[Record]) -> Make:
    """Return evaluations whose faces are off by given numbers of pixels; nan = not found."""

    def build(*pixels: float, sweep: bool = False, **stamp: Any) -> Evaluation:
        records = faces[: len(pixels)]
        off = np.array(pixels)[:, None, None] * [0.6, 0.8]
        found = np.stack([r.xy for r in records]) + off
        sure = np.clip(0.9 - 0.05 * np.array(pixels)[:, None] * np.linspace(0.5, 1, 68), 0, 1)
        done = judge(records, found, get_scheme("ibug68"), confidence=sure, stamp={**STAMP, **stamp})
        if sweep:
            done.result["robustness"] = summary([float(i) for i in range(29)])
        return done

    return build


def write_and_read(folder: Path, done: Evaluation) -> Any:
    write_report(folder, done)
    return read_other(folder)


def test_the_report_is_whole_and_needs_no_other_file(make: Make, tmp_path: Path) -> None:
    done = make(0, 3, np.nan, 9, 12, 15, sweep=True, weights="<b>own & co</b>")
    write_report(tmp_path, done, command="fiducia evaluate --weights '<b>own'")
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert json.loads((tmp_path / "result.json").read_text()) == done.result
    rows = list(csv.DictReader(io.StringIO((tmp_path / "faces.csv").read_text())))
    assert [row["id"] for row in rows] == [f"f{i}" for i in range(6)]
    assert (rows[2]["detected"], rows[2]["nme_ic"]) == ("0", "")
    assert float(rows[5]["nme_ic"]) == pytest.approx(100 * done.scores.nme["ic"][5], abs=1e-5)
    page = (tmp_path / "report.html").read_text()
    assert "&lt;b&gt;own &amp; co&lt;/b&gt;" in page
    assert "<b>own" not in page
    assert "<script" not in page
    # Nothing is fetched: whatever is embedded is data, and no style or picture names a place.
    assert set(re.findall(r'(?:src|href)="(data:image/jpeg;base64,|[^"]*)', page)) == {"data:image/jpeg;base64,"}
    assert not re.search(r"https?:|url\((?!#heat\))|@import", page)
    assert "Not found: 1 of 6 faces" in page
    assert f"<b>{done.result['nme_ic']:.2f} %</b>" in page
    assert page.count('<svg class="chart"') == 6
    assert page.count('<figure class="slider"') == 5, "a face that was not found has no answer to drag over"
    text = (tmp_path / "report.md").read_text()
    named = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert set(named) == {name for name in FILES if name.endswith((".svg", ".jpg"))}
    assert f"| all | 6 | 5 | {done.result['nme_ic']:.3f} |" in text
    assert read_image(tmp_path / "worst.jpg").shape[1] > 6 * 256


def test_every_chart_is_well_formed_with_its_own_colours(make: Make, tmp_path: Path) -> None:
    write_report(tmp_path, make(1, 2, 3, sweep=True))
    for path in tmp_path.glob("*.svg"):
        root = ET.fromstring(path.read_text())
        assert root.tag == "{http://www.w3.org/2000/svg}svg", path
        assert "prefers-color-scheme: dark" in path.read_text()
        numbers = re.findall(r'(?:cx|cy|x1|y1|x2|y2|points)="([^"]*)"', path.read_text())
        assert numbers
        assert not [value for value in numbers if "nan" in value or "inf" in value]


def test_a_network_without_confidence_and_a_run_without_a_sweep_have_no_such_parts(make: Make, tmp_path: Path) -> None:
    done = replace(make(1, 2, 3), confidence=None)
    del done.result["reliability"]
    write_report(tmp_path, done)
    assert {path.name for path in tmp_path.iterdir()} == FILES - {"near.svg", "error.svg", "shift.svg", "scale.svg"}
    page = (tmp_path / "report.html").read_text()
    assert "What a confidence is worth" not in page
    assert "If the box is wrong" not in page


def test_nobody_found_still_makes_a_report(make: Make, tmp_path: Path) -> None:
    write_report(tmp_path, make(np.nan, np.nan))
    assert "Not found: 2 of 2 faces" in (tmp_path / "report.html").read_text()


def test_the_worst_faces_are_those_not_found_and_then_the_largest_errors(make: Make) -> None:
    done = make(4, 1, np.nan, 9, 2, 6)
    sizes = 100 * np.nan_to_num(done.scores.nme["ic"], nan=np.inf)
    chosen = ranked(done, 4)
    assert chosen["worst"][0] == 2
    assert list(sizes[chosen["worst"]]) == sorted(sizes, reverse=True)[:4]
    assert chosen["best"] == [int(np.argmin(sizes))]


def test_a_written_report_is_compared_as_it_was_measured(make: Make, tmp_path: Path) -> None:
    ours, theirs = make(1, 2, 3, 4, 5, 6), make(2, 4, 3, 9, np.nan, 5, weights="theirs")
    read = write_and_read(tmp_path / "theirs", theirs)
    np.testing.assert_allclose(read.xy, theirs.found)
    (one,) = compare_with(ours, [read])
    by_hand = paired_bootstrap(100 * theirs.scores.nme["ic"], 100 * ours.scores.nme["ic"])
    row = one.rows["all"]
    assert (row.faces, row.left_out) == (5, 1)
    assert row.difference == pytest.approx(by_hand.difference, abs=1e-5)
    assert (row.low, row.high) == (pytest.approx(by_hand.low, abs=1e-5), pytest.approx(by_hand.high, abs=1e-5))
    assert row.p == by_hand.p
    assert set(one.rows) == {"all", "a", "b"}
    assert apart(one, 2) == {"better": [3, 1], "worse": [5]}
    told = one.as_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["name"], told["metric"], told["faces"]) == ("theirs", "nme_ic", 5)
    assert told["ours"] - told["theirs"] == pytest.approx(told["difference"])


def test_results_of_one_name_are_told_apart_in_few_words(make: Make, tmp_path: Path) -> None:
    ours, theirs = make(1, 2, 3, 4), make(2, 4, 3, 9, weights="theirs")
    origins = ("runs/a/seed0", "runs/b/seed0", "runs/b/seed1")
    named = [one.other.name for one in compare_with(ours, [as_other(theirs, origin) for origin in origins])]
    assert named == ["theirs (a/seed0)", "theirs (b/seed0)", "theirs (seed1)"]


def test_a_long_name_stays_inside_of_the_chart_and_shows_whole_when_pointed_at() -> None:
    name = "a" * 60 + "<" + "b" * 60
    lines = [Series(name=name, x=(0, 1), y=(0, 1)), Series(name="short", x=(0, 1), y=(1, 0))]
    svg = chart(lines, xlabel="x", ylabel="y", label="chart", width=400)
    legend = re.findall(r'class="name"[^>]*>([^<]*)', svg)
    assert legend[1] == "short"
    assert len(legend[0]) < 60
    assert "…" in legend[0]
    assert f"<title>{'a' * 60}&lt;" in svg


def test_the_page_shows_the_comparison_and_overlays_the_other(make: Make, tmp_path: Path) -> None:
    ours, theirs = make(1, 2, 3, 4, sweep=True), make(2, 4, 3, 9, sweep=True, weights="theirs")
    compared = compare_with(ours, [as_other(theirs, "there"), write_and_read(tmp_path / "same", ours)])
    write_report(tmp_path / "out", ours, compared)
    page, text = ((tmp_path / "out" / name).read_text() for name in ("report.html", "report.md"))
    row = compared[0].rows["all"]
    for shown in (page, text):
        assert "Against theirs" in shown
        assert f"{row.difference:+.3f}" in shown
        assert f"{row.low:+.3f} … {row.high:+.3f}" in shown
    assert "theirs red" in page
    same = compared[1].other.name
    assert same == "ours (same)"  # two results of one name are told apart
    assert f"No difference is shown between ours and {same}" in text
    ced = (tmp_path / "out" / "ced.svg").read_text()
    assert ced.count("<polyline") == 3
    assert (tmp_path / "out" / "shift.svg").read_text().count("<polyline") == 3
    # The faces on which they agree are not shown as differing.
    assert apart(compared[1], 9) == {"better": [], "worse": []}


def test_the_verdict_says_which_is_better_only_where_both_tests_do(make: Make) -> None:
    ours = make(1, 2, 3, 4, 5, 6, 7, 8)
    worse, alike = make(2, 3, 4, 5, 6, 7, 8, 9, weights="worse"), make(2, 1, 4, 3, 6, 5, 8, 7, weights="alike")
    first, second = compare_with(ours, [as_other(worse, "w"), as_other(alike, "a")])
    assert verdict(ours, first).startswith("ours has less error than worse by ")
    assert "permutation p = 0.008" in verdict(ours, first)  # 2 of 256 sign patterns
    assert verdict(ours, second).startswith("No difference is shown between ours and alike")
    (back,) = compare_with(worse, [as_other(ours, "o")])
    assert verdict(worse, back).startswith("worse has more error than ours by ")
    few = make(1, 2, 3, 4)  # the interval leaves out zero, but 2 of 16 sign patterns are as far apart
    (one,) = compare_with(few, [as_other(make(2, 3, 4, 5, weights="worse"), "w")])
    assert one.rows["all"].significant
    assert verdict(few, one).startswith("No difference is shown between ours and worse")


@pytest.mark.parametrize(
    ("stamp", "field"),
    [
        ({"crop_source": "detector"}, "crop_source: 'landmarks' and 'detector'"),
        ({"split": "train"}, "split: 'test' and 'train'"),
        ({"excluded": ("x*",)}, "excluded"),
    ],
)
def test_results_that_were_not_measured_alike_are_refused_naming_the_field(
    make: Make, tmp_path: Path, stamp: dict[str, Any], field: str
) -> None:
    read = write_and_read(tmp_path, make(1, 2, **stamp))
    with pytest.raises(FiduciaError, match=re.escape(field)):
        compare_with(make(1, 2), [read])


def test_weights_of_other_crops_are_compared_and_the_sentence_says_how_each_was_cropped(
    make: Make, tmp_path: Path
) -> None:
    ours, theirs = make(1, 2, 3), make(2, 4, 3, weights="theirs", crop_scale=0.7, size=96)
    (one,) = compare_with(ours, [write_and_read(tmp_path / "there", theirs)])
    assert "by its own crop: ours at 64 px with the box filling 0.8, theirs at 96 px with 0.7." in verdict(ours, one)
    (alike,) = compare_with(ours, [as_other(make(2, 4, 3, weights="theirs"), "there")])
    assert "own crop" not in verdict(ours, alike)
    path = tmp_path / "there" / "result.json"
    path.write_text(path.read_text().replace('"crop_scale"', '"former"'))
    (silent,) = compare_with(ours, [read_other(tmp_path / "there")])
    assert "theirs at 96 px with unknown." in verdict(ours, silent)


def test_other_faces_are_refused_by_number_or_by_id(make: Make, faces: list[Record]) -> None:
    ours = make(1, 2)
    with pytest.raises(FiduciaError, match="faces: 2 and 3"):
        compare_with(ours, [as_other(make(1, 2, 3), "there")])
    swapped = replace(make(1, 2), records=[faces[1], faces[0]])
    with pytest.raises(FiduciaError, match="face 1: 'f0' and 'f1'"):
        compare_with(ours, [as_other(swapped, "there")])


def test_where_no_face_was_found_by_both_the_report_says_so(make: Make, tmp_path: Path) -> None:
    ours = make(1, np.nan)
    compared = compare_with(ours, [as_other(make(np.nan, 2, weights="theirs"), "there")])
    assert compared[0].as_dict()["difference"] is None
    write_report(tmp_path, ours, compared)
    for name in ("report.html", "report.md"):
        assert "ours and theirs cannot be compared: no face was found by both" in (tmp_path / name).read_text()


def test_a_written_result_is_refused_before_the_network_runs(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise AssertionError("the network was run")

    monkeypatch.setattr("fiducia.evaluation.evaluate.find_shared", stop)
    write_report(tmp_path / "there", make(1, 2))
    options: dict[str, Any] = {"source": f"synthetic:4@{tmp_path}", "split": "train"}
    with pytest.raises(FiduciaError, match=r"split: 'train' and 'test'.*faces: 4 and 2"):
        evaluate_against([str(tmp_path / "there")], Settings(weights="fifa_tiny"), **options)
    with pytest.raises(UsageError, match="nowhere"):
        evaluate_against(["nowhere"], Settings(weights="fifa_tiny"), **options)


def test_a_json_result_is_read_with_the_faces_beside_it(make: Make, tmp_path: Path) -> None:
    done = make(1, 2, 3)
    file = tmp_path / "one.json"
    file.write_text(json.dumps(done.result))
    with pytest.raises(FiduciaError, match=r"no errors of single faces.*--faces .*one\.csv"):
        read_other(file)
    (tmp_path / "one.csv").write_bytes(done.faces_csv())
    read = read_other(file)
    assert read.ids == ("f0", "f1", "f2")
    assert read.xy is None
    np.testing.assert_allclose(read.nme["ic"], done.scores.nme["ic"], atol=1e-8)
    (one,) = compare_with(done, [read])
    write_report(tmp_path / "out", done, [one])
    assert "its faces cannot be drawn" in (tmp_path / "out" / "report.html").read_text()


def test_results_on_labels_that_were_corrected_are_refused(make: Make, faces: list[Record], tmp_path: Path) -> None:
    theirs = write_and_read(tmp_path, make(1, 2))
    xy = faces[1].xy.copy()
    xy[7] += 2.0
    corrected = [faces[0], replace(faces[1], xy=xy)]
    found = np.stack([r.xy for r in faces[:2]]) + 1.0
    with pytest.raises(FiduciaError, match=r"labels_sha256: .*; the labels were changed between the two"):
        compare_with(judge(corrected, found, get_scheme("ibug68"), stamp=STAMP), [theirs])
    # The last digits, in which machines differ, count for nothing.
    moved = [replace(r, xy=r.xy + 1e-7) for r in faces[:2]]
    assert compare_with(judge(moved, found, get_scheme("ibug68"), stamp=STAMP), [theirs])


def test_faces_of_another_result_are_not_taken_for_those_of_this_one(make: Make, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(make(1, 2, 3).result))
    # What an evaluation of other weights left there: as many faces, of the same ids.
    (tmp_path / "faces.csv").write_bytes(make(1, 2, 4).faces_csv())
    with pytest.raises(
        FiduciaError, match=r"faces\.csv: of another result than one\.json: the mean nme_ic of its faces is"
    ):
        read_other(tmp_path / "one.json")
    (tmp_path / "faces.csv").write_bytes(make(np.nan, np.nan, np.nan).faces_csv())
    with pytest.raises(FiduciaError, match="is None, there it is"):
        read_other(tmp_path / "one.json")


def test_a_report_tells_how_many_faces_a_figure_is_of(make: Make, tmp_path: Path) -> None:
    done = make(1, 2, np.nan)
    done.result["measured"]["ic"] = 2  # as where a face lacks a label at an eye, and another is not found
    write_report(tmp_path, done)
    for name in ("report.html", "report.md", "report.tex"):
        assert "by ic of 2 of 3 faces; the others lack labels at an eye" in (tmp_path / name).read_text()


def test_a_finished_run_of_reproduce_is_read_too(make: Make, tmp_path: Path) -> None:
    done = make(1, 2, 3)
    (tmp_path / "result.json").write_text(json.dumps({"format": 1, "row": "fifa", "result": done.result}))
    (tmp_path / "faces.csv").write_bytes(done.faces_csv())
    assert read_other(tmp_path).result["nme_ic"] == done.result["nme_ic"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("result.json", b"{", "not a result of fiducia evaluate"),
        ("result.json", b"[]", "not a result of fiducia evaluate"),
        ("result.json", b'{"faces": 2}', "not a result of fiducia evaluate"),
        ("faces.csv", b"id,nme_ic\nf0,1\n", "1 faces, but result.json has 2"),
        ("faces.csv", b"id,nme_ic\nf0,1\nf1,x\n", "not a result of fiducia evaluate"),
        ("points.npz", b"not a zip", "damaged"),
    ],
)
def test_damaged_results_are_named(make: Make, tmp_path: Path, name: str, content: bytes, message: str) -> None:
    write_report(tmp_path, make(1, 2))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FiduciaError, match=message) as error:
        read_other(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_points_of_other_faces_are_not_drawn(make: Make, tmp_path: Path) -> None:
    write_report(tmp_path, make(1, 2))
    np.savez(tmp_path / "points.npz", ids=np.array(["x", "y"]), xy=np.zeros((2, 68, 2)))
    with pytest.raises(FiduciaError, match=r"points\.npz: not of the faces"):
        read_other(tmp_path)


@given(st.floats(-3, 3), st.floats(0.2, 5), st.floats(-100, 100), st.integers(0, 4))
def test_the_mean_face_of_one_shape_moved_about_is_that_shape(
    turn: float, size: float, shift: float, hide: int
) -> None:
    shape = np.array([[-1.0, -1.0], [1.0, -1.0], [0.0, 0.2], [-0.7, 1.0], [0.7, 1.0]])
    c, s = size * np.cos(turn), size * np.sin(turn)
    other = shape @ np.array([[c, s], [-s, c]]) + shift
    faces = np.stack([shape, shape, shape, other])
    faces[1, hide] = np.nan
    mean = mean_shape(faces, rounds=20)
    # One face in four that is turned may turn the mean as a whole, but not deform it.
    near = np.hypot(*(mean[:, None] - mean[None]).transpose(2, 0, 1))
    true = np.hypot(*(shape[:, None] - shape[None]).transpose(2, 0, 1))
    np.testing.assert_allclose(near / near[0, 1], true / true[0, 1], atol=0.02)


def test_a_point_that_nobody_labelled_has_no_place_on_the_mean_face() -> None:
    shape = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 2.0]])
    shape[2] = np.nan
    mean = mean_shape(np.stack([shape, shape + 3]))
    np.testing.assert_allclose(mean[:2], [[-0.5, 0.0], [0.5, 0.0]], atol=1e-12)
    assert np.isnan(mean[2]).all()


def test_a_chart_leaves_out_what_is_not_finite_and_escapes_its_words() -> None:
    svg = chart(
        [Series(name="<a>", x=[0, 1, 2], y=[1, np.nan, 3], dots=True), Series(name="b", x=[0, 2], y=[0, 1], colour=1)],
        label='"x" & y',
        xlabel="<x>",
        ylabel="y",
    )
    root = ET.fromstring(standalone(svg))
    assert root.attrib["aria-label"] == '"x" & y'
    lines = [e for e in root.iter() if e.tag.endswith("polyline")]
    assert [len(e.attrib["points"].split()) for e in lines] == [2, 2]
    assert "nan" not in svg
    assert "<a>" not in svg


@pytest.mark.parametrize(
    "low_high", [(0.0, 0.0), (4.4, 5.3), (0.0, 1e-9), (97.0, 1e6), (2.7, np.nextafter(2.7, 3)), (-1, -1)]
)
def test_axes_stand_about_their_values(low_high: tuple[float, float]) -> None:
    svg = chart([Series(name="", x=[0, 1], y=low_high)], label="l", xlabel="x", ylabel="y")
    points = re.search(r'class="line" points="([^"]*)"', svg)
    assert points
    ys = [float(p.split(",")[1]) for p in points[1].split()]
    assert all(30.0 <= y <= 330.0 for y in ys)  # the plot's top and bottom without a legend


def test_reliability_of_a_perfect_order_and_of_none() -> None:
    sure = np.linspace(0.1, 0.9, 100)
    told = reliability(sure, 10 * (1 - sure))
    assert told is not None
    assert told["rank_correlation"] == pytest.approx(-1.0)
    assert [row["near"] for row in told["bins"]] == [0.0] * 5 + [100.0] * 5
    assert told["bins"][0]["confidence"] == pytest.approx(sure[:10].mean())
    assert told["bins"][0]["low"] > told["bins"][0]["median"] - 1 > told["bins"][-1]["high"]
    assert reliability(np.ones(100), sure) is None
    assert reliability(sure[:9], sure[:9]) is None
    blind = np.concatenate([sure, [np.nan, 0.5]])
    again = reliability(blind, np.concatenate([10 * (1 - sure), [1.0, np.inf]]))
    assert again == told


def test_an_own_landmark_set_with_partly_labelled_faces_and_no_eyes_is_reported(
    faces: list[Record], tmp_path: Path
) -> None:
    (tmp_path / "muzzle4.toml").write_text(
        'name = "muzzle4"\npoints = 4\nmirror = [[0, 1]]\nedges = [[0, 2, 1], [2, 3]]\n'
    )
    name = str(tmp_path / "muzzle4.toml")
    own = [
        replace(
            r, xy=r.xy[[36, 45, 30, 8]], visible=np.full(4, 2, np.int8), scheme=name, box=np.array([9.0, 9, 90, 90])
        )
        for r in faces[:4]
    ]
    own[1].xy[2:] = np.nan
    own[2].xy[1:] = np.nan  # one point: no box of its own, and nothing to divide by
    found = np.nan_to_num(np.stack([r.xy for r in own]), nan=5.0) + np.array([3.0, 4.0])
    tight = judge(own, found, get_scheme(name), stamp=STAMP)
    assert tight.result["measured"]["box"] == 3
    assert 2 not in [i for chosen in ranked(tight, 9).values() for i in chosen]
    boxed = judge(own, found, get_scheme(name), stamp=STAMP, box="dataset")
    assert boxed.result["nme_box"] == pytest.approx(100 * 5 / 81)
    for done in (tight, boxed):
        write_report(tmp_path / done.protocol.box, done, compare_with(done, [as_other(done, "itself")]))
        page = (tmp_path / done.protocol.box / "report.html").read_text()
        assert "NME, box" in page
        assert "NME ic" not in page
