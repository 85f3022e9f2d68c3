from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.errors import UsageError
from fiducia.schemes.sets import (
    Scheme,
    SchemeError,
    conversion,
    convert,
    former_names,
    get_scheme,
    load_scheme,
    require_mirror,
    scheme_from_table,
    scheme_names,
)
from fiducia.schemes.tables import CONVERSIONS

BUILTIN = ["ibug68", "wflw98", "cofw29", "aflw19", "lapa106", "five", "ibug51"]


def test_the_sets_are_there_with_their_counts() -> None:
    assert {name: get_scheme(name).num_points for name in scheme_names()} == dict(
        zip(BUILTIN, (68, 98, 29, 19, 106, 5, 51), strict=True)
    )


@pytest.mark.parametrize("name", BUILTIN)
def test_a_name_and_its_mirror_image_differ_in_left_and_right_alone(name: str) -> None:
    scheme = get_scheme(name)
    swap = {"left": "right", "right": "left"}
    for i, j in enumerate(scheme.mirror):
        assert "_".join(swap.get(word, word) for word in scheme.names[i].split("_")) == scheme.names[j]


@pytest.mark.parametrize(("source", "target"), sorted(CONVERSIONS))
def test_a_conversion_keeps_the_points_that_both_sets_name(source: str, target: str) -> None:
    a, b = get_scheme(source), get_scheme(target)
    groups = conversion(source, target)
    assert len(groups) == b.num_points
    for name, group in zip(b.names, groups, strict=True):
        if name in a.names and not name[-1].isdigit() and "eye_centre" not in name:
            assert group == (a.point(name),), name
    # Mirroring first or last makes no difference.
    for k, group in enumerate(groups):
        assert {a.mirror[i] for i in group} == set(groups[b.mirror[k]])


def test_points_and_groups_of_regions_by_name() -> None:
    scheme = get_scheme("ibug68")
    assert (scheme.point("nose_tip"), scheme.point("right_eye_top_outer"), scheme.point("left_contour_0")) == (
        30,
        37,
        16,
    )
    assert scheme.region("eyes") == tuple(range(36, 48))
    assert scheme.region("mouth") == tuple(range(48, 68))
    assert get_scheme("cofw29").region("mouth") == (22, 24, 23, 27, 25, 26), "a point of both lips stands once"
    with pytest.raises(SchemeError, match=r"no point 'nose_tpi'; did you mean 'nose_tip'\?"):
        scheme.point("nose_tpi")
    with pytest.raises(SchemeError, match="five has no region 'brows'"):
        get_scheme("five").region("brows")


def test_an_own_region_goes_before_a_group_of_that_name() -> None:
    own = scheme_from_table({"points": 3, "mirror": [], "regions": {"eyes": [0, 1], "right_eye": [2]}})
    assert own.region("eyes") == (0, 1)


def test_the_names_of_version_0_1_are_known() -> None:
    former = former_names("ibug68")
    assert former is not None
    assert (former[0], former[8], former[30], former[37]) == ("contour_0", "chin", "nose_tip", "right_eye_1")
    assert former_names("five") is None


@pytest.mark.parametrize("name", BUILTIN)
def test_every_point_is_named_placed_and_mirrored(name: str) -> None:
    scheme = get_scheme(name)
    assert len(set(scheme.names)) == scheme.num_points
    assert {i for region in scheme.regions.values() for i in region} == set(range(scheme.num_points))
    assert sorted(scheme.mirror) == list(range(scheme.num_points))
    for i, j in enumerate(scheme.mirror):
        assert scheme.mirror[j] == i


@pytest.mark.parametrize("name", BUILTIN)
def test_regions_edges_and_normalisers_mirror_onto_each_other(name: str) -> None:
    scheme = get_scheme(name)
    for region, indices in scheme.regions.items():
        swap = {"left": "right", "right": "left"}
        side, _, rest = region.partition("_")
        other = f"{swap[side]}_{rest}" if side in swap else region
        assert {scheme.mirror[i] for i in indices} == set(scheme.region(other)), region
    edges = {frozenset(edge) for edge in scheme.edges}
    assert {frozenset(scheme.mirror[i] for i in edge) for edge in edges} == edges
    if scheme.inter_ocular is not None:
        right, left = scheme.inter_ocular
        assert scheme.mirror[right] == left
        assert right in scheme.region("right_eye")
        assert left in scheme.region("left_eye")
    assert scheme.inter_pupil is not None
    assert {scheme.mirror[i] for i in scheme.inter_pupil[0]} == set(scheme.inter_pupil[1])


def test_the_published_indices() -> None:
    # Values written out in the protocols, not derived from the tables.
    assert get_scheme("ibug68").inter_ocular == (36, 45)
    assert get_scheme("wflw98").inter_ocular == (60, 72)
    assert get_scheme("cofw29").inter_ocular == (8, 9)
    assert get_scheme("aflw19").inter_ocular == (6, 11)
    assert get_scheme("lapa106").inter_ocular == (66, 79)
    assert get_scheme("five").inter_ocular is None
    assert get_scheme("wflw98").inter_pupil == ((96,), (97,))
    assert get_scheme("ibug68").inter_pupil == (tuple(range(36, 42)), tuple(range(42, 48)))
    mirror = get_scheme("ibug68").mirror
    assert [mirror[i] for i in (0, 8, 17, 27, 31, 36, 37, 40, 48, 55, 60, 65)] == [
        16, 8, 26, 27, 35, 45, 44, 47, 54, 59, 64, 67,
    ]  # fmt: skip
    mirror = get_scheme("wflw98").mirror
    assert [mirror[i] for i in (0, 33, 38, 46, 47, 55, 60, 61, 65, 76, 83, 88, 93, 96)] == [
        32, 46, 50, 33, 41, 59, 72, 71, 75, 82, 87, 92, 95, 97,
    ]  # fmt: skip


def test_98_to_68_is_the_standard_map() -> None:
    indices = [group[0] for group in conversion("wflw98", "ibug68")]
    assert indices[:17] == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32]
    assert indices[17:27] == [33, 34, 35, 36, 37, 42, 43, 44, 45, 46]
    assert indices[36:48] == [60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75]
    assert indices[48:] == list(range(76, 96))


@pytest.mark.parametrize(("source", "target"), [("wflw98", "ibug68"), ("lapa106", "ibug68")])
def test_selecting_points_commutes_with_the_mirror(source: str, target: str) -> None:
    a, b = get_scheme(source), get_scheme(target)
    chosen = [group[0] for group in conversion(source, target)]
    assert [a.mirror[i] for i in chosen] == [chosen[j] for j in b.mirror]


@pytest.mark.parametrize("source", ["ibug68", "wflw98", "cofw29", "aflw19", "lapa106", "ibug51"])
def test_five_points_keep_their_sides_and_commute_with_the_mirror(source: str) -> None:
    scheme, five = get_scheme(source), get_scheme("five")
    groups = conversion(source, "five")
    for i, group in enumerate(groups):
        assert {scheme.mirror[j] for j in group} == set(groups[five.mirror[i]])
    assert set(groups[3]) | set(groups[4]) <= set(scheme.region("outer_lip"))


def test_convert_means_an_eye_and_keeps_nan() -> None:
    xy = np.zeros((2, 68, 2))
    xy[0, 36:42] = [[0, 0], [2, 0], [4, 0], [6, 0], [4, 3], [2, 3]]
    xy[1, 30] = np.nan
    five = convert(xy, "ibug68", "five")
    assert five.shape == (2, 5, 2)
    assert five[0, 0].tolist() == [3.0, 1.0]
    assert np.isnan(five[1, 2]).all()
    assert np.isfinite(five[1, [0, 1, 3, 4]]).all()


def test_convert_refuses_to_guess_points_and_wrong_shapes() -> None:
    with pytest.raises(SchemeError, match=r"five cannot be converted to ibug68"):
        convert(np.zeros((5, 2)), "five", "ibug68")
    with pytest.raises(SchemeError, match=r"ibug68 has 68 points .* \(67, 2\)"):
        convert(np.zeros((67, 2)), "ibug68", "five")
    same = np.arange(10.0).reshape(5, 2)
    assert (convert(same, "five", "five") == same).all()


@given(st.permutations(range(6)))
def test_a_mirror_is_accepted_exactly_if_it_is_its_own_inverse(order: list[int]) -> None:
    table = {"points": 6, "mirror": order}
    if all(order[order[i]] == i for i in range(6)):
        assert scheme_from_table(table).mirror == tuple(order)
    else:
        with pytest.raises(SchemeError, match="mirroring twice"):
            scheme_from_table(table)


@pytest.mark.parametrize("name", BUILTIN)
def test_a_scheme_survives_the_way_through_plain_values(name: str) -> None:
    scheme = get_scheme(name)
    again = scheme_from_table(json.loads(json.dumps(scheme.to_table())))
    assert again == scheme
    assert hash(again) == hash(scheme)


def test_the_five_line_file(tmp_path: Path) -> None:
    path = tmp_path / "muzzle.toml"
    path.write_text("points = 4\nmirror = [[0, 1]]\nedges = [[0, 2, 1], [2, 3]]\ninter_ocular = [0, 1]\n")
    scheme = get_scheme(str(path))
    assert scheme.name == "muzzle"
    assert scheme.names == ("point_0", "point_1", "point_2", "point_3")
    assert scheme.mirror == (1, 0, 2, 3)
    assert scheme.edges == ((0, 2), (2, 1), (2, 3))
    assert scheme.region("all") == (0, 1, 2, 3)


def test_own_points_by_name(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'name = "cat"\nnames = ["r", "l", "n"]\nmirror = [["r", "l"]]\ninter_pupil = [["r"], ["l"]]\n'
        '[regions]\neyes = ["r", "l"]\n'
    )
    scheme = load_scheme(path)
    assert (scheme.name, scheme.mirror, scheme.region("eyes")) == ("cat", (1, 0, 2), (0, 1))
    assert scheme.inter_pupil == ((0,), (1,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("points = 3\n", "mirror is missing"),
        ("mirror = []\n", "points = K"),
        ("points = 0\nmirror = []\n", "points = 0"),
        ("points = true\nmirror = []\n", "points = True"),
        ('points = 2\nnames = ["a"]\nmirror = []\n', "points = 2, but names holds 1"),
        ('names = ["a", "a"]\nmirror = []\n', "'a' stands twice"),
        ("points = 3\nmirror = [[0, 3]]\n", "names point 3; the points are 0 to 2"),
        ("points = 3\nmirror = [[0, 1], [1, 2]]\n", "point 1 stands in two pairs"),
        ("points = 3\nmirror = [[0, 0]]\n", "not a pair"),
        ("points = 3\nmirror = [0, 1]\n", "2 entries for 3 points"),
        ("points = 3\nmirror = [[0, -1]]\n", "names point -1"),
        ("points = 3\nmirror = []\nedges = [[0, 7]]\n", "edges names point 7"),
        ("points = 3\nmirror = []\nedges = [[1, 1]]\n", "twice"),
        ("points = 3\nmirror = []\ninter_ocular = [0]\n", "two points"),
        ("points = 3\nmirror = []\ninter_pupil = [[0]]\n", "two groups"),
        ("points = 3\nmirror = []\ninter_pupil = [[0, 1], [1]]\n", "inter_pupil holds a point twice"),
        ('names = ["a", " "]\nmirror = []\n', "point 1 has an empty name"),
        ("points = 3\nmirror = []\n[regions]\na = [0, 0]\n", "holds a point twice"),
        ("points = 3\nmirror = []\nmirrors = []\n", "unknown key 'mirrors'"),
        ('points = 3\nmirror = [["a", "b"]]\n', "'a' is neither"),
        ("points = 3\nmirror = 4\n", "pairs, a permutation or"),
        ("points = = 3\n", "TOML"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(SchemeError) as error:
        load_scheme(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_names_teach(tmp_path: Path) -> None:
    with pytest.raises(SchemeError, match=r"did you mean 'ibug68'\?"):
        get_scheme("ibug-68")
    with pytest.raises(SchemeError, match="no such file; expected a scheme file"):
        get_scheme(tmp_path / "none.toml")
    with pytest.raises(SchemeError, match=r"no region 'ear'.*left_eye"):
        get_scheme("ibug68").region("ear")


def test_a_scheme_checks_itself_when_built_in_code() -> None:
    with pytest.raises(SchemeError, match="no points"):
        Scheme("x", (), {}, (), ())


@pytest.mark.shared
@pytest.mark.parametrize("name", ["300w", "wflw", "cofw", "aflw", "lapa"])
def test_left_and_right_are_the_persons_own_on_real_faces(shared_data: Path, name: str) -> None:
    table = json.loads((shared_data / "coco_style" / name / f"test_{name}.json").read_text())
    for face in table["annotations"]:
        xy = np.array(face["keypoints"], dtype=float).reshape(-1, 3)[:, :2]
        scheme = next(s for s in map(get_scheme, BUILTIN) if s.num_points == len(xy))
        centre = {region: xy[list(indices)].mean(axis=0) for region, indices in scheme.regions.items()}
        # All of these faces look at the camera more or less: the person's right is at the picture's left.
        assert centre["right_eye"][0] < centre["left_eye"][0]
        assert centre["right_brow"][0] < centre["left_brow"][0]
        assert centre["right_brow"][1] < centre["right_eye"][1] < centre["nose"][1] < centre["outer_lip"][1]
        five = convert(xy, scheme, "five")
        assert five[0, 0] < five[1, 0]
        assert five[3, 0] < five[4, 0]
        assert five[:2, 1].max() < five[2, 1] < five[3:, 1].min()
        if "inner_lip" in scheme.regions:
            outer, inner = xy[list(scheme.region("outer_lip"))], xy[list(scheme.region("inner_lip"))]
            assert np.ptp(inner, axis=0).prod() < np.ptp(outer, axis=0).prod()


@pytest.mark.shared
def test_98_to_68_agrees_with_a_published_68_point_list_but_for_the_lids(shared_data: Path) -> None:
    # That list puts each lid point half way between a corner and the lid's middle; the index map takes the annotated
    # point nearest to it. All else is the same selection.
    photos = shared_data / "wflw_photos" / "list_68pt_rect_attr.txt"
    lists = shared_data / "wflw_sample" / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
    small, large = (
        [line.split() for line in path.read_text().splitlines()]
        for path in (photos, lists / "list_98pt_rect_attr_test.txt")
    )
    lids = [37, 38, 40, 41, 43, 44, 46, 47]
    compared = 0
    for row in large:
        xy98 = np.array(row[:196], dtype=float).reshape(98, 2)
        for other in small:
            if other[-1] == row[-1] and other[:2] == row[:2]:
                apart = convert(xy98, "wflw98", "ibug68") - np.array(other[:136], dtype=float).reshape(68, 2)
                assert np.abs(np.delete(apart, lids, axis=0)).max() == 0
                assert np.abs(apart[lids]).max() < 0.08 * np.linalg.norm(xy98[60] - xy98[72])
                compared += 1
    assert compared == 3


def test_bare_points_have_no_pairs_no_normaliser_and_no_mirror_image() -> None:
    scheme = get_scheme("none:5")
    assert (scheme.name, scheme.num_points, scheme.mirrors) == ("none:5", 5, False)
    assert scheme.mirror == (0, 1, 2, 3, 4)
    assert scheme.inter_ocular is None
    assert scheme.inter_pupil is None
    assert scheme.edges == ()
    with pytest.raises(UsageError, match=r"augment\.mirror = 0\.5: the landmark set none:5 does not say"):
        require_mirror(scheme, "augment.mirror = 0.5")
    require_mirror(get_scheme("five"), "augment.mirror = 0.5")
    assert scheme_from_table(scheme.to_table()) == scheme, "a card keeps it"
    for name in ("none", "none:", "none:0", "none:five", "none:99999999", "none:-3"):
        with pytest.raises(SchemeError, match=r"none:K|number of 1 to"):
            get_scheme(name)


def test_an_own_set_may_say_that_it_cannot_be_mirrored(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('points = 3\nmirror = "none"\n')
    assert not get_scheme(path).mirrors
    path.write_text("points = 3\nmirror = []\n")
    assert get_scheme(path).mirrors, "a file that changed is read again"
    with pytest.raises(SchemeError, match="cannot be mirrored"):
        Scheme(name="x", names=("a", "b"), regions={}, mirror=(1, 0), edges=(), mirrors=False)


def test_scheme_files_from_windows_read_the_same(tmp_path: Path) -> None:
    text = 'names = ["nose", "chin"]\nmirror = []\n'
    (tmp_path / "a.toml").write_text(text)
    (tmp_path / "b.toml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert get_scheme(tmp_path / "b.toml").names == get_scheme(tmp_path / "a.toml").names
    (tmp_path / "c.toml").write_bytes(text.encode("utf-16"))
    with pytest.raises(SchemeError, match=r"c\.toml: is UTF-16 text"):
        get_scheme(tmp_path / "c.toml")


def test_an_absurd_number_of_points_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("points = 1_000_000_000_000\nmirror = []\n")
    with pytest.raises(SchemeError, match="a number of 1 to 10000"):
        get_scheme(path)


def test_an_own_set_with_the_name_of_a_known_one_is_refused(tmp_path: Path) -> None:
    # Without name = ... it is called after its file, and weights with such a set in their card would not load again.
    path = tmp_path / "five.toml"
    path.write_text('names = ["a", "b", "c", "d", "e"]\nmirror = []\n')
    with pytest.raises(SchemeError, match=r"five\.toml: is called 'five', as a known landmark set with other points"):
        get_scheme(path)
    path.write_text('name = "mine"\nnames = ["a", "b", "c", "d", "e"]\nmirror = []\n')
    assert get_scheme(path).name == "mine"
