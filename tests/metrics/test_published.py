from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.data.source import datasets
from fiducia.metrics.figures import FIGURES
from fiducia.metrics.published import Figure, attainable, paper, published_table, system
from fiducia.reproduce.rows import load_table

TABLES = [f"table{n}" for n in range(1, 8)]
ALL = [figure for name in TABLES for figure in published_table(name).figures.values()]


def kinds(table: str, row: str, column: str) -> set[str]:
    return {mark.kind for mark in published_table(table).figures[row, column].marks}


def test_all_cells_of_the_papers_tables_are_there() -> None:
    # Table 1: 4 full rows of 9, 4 of 5, DTLD 5, PicassoNet 5; Table 2: 6 full rows of 14, FaRL 8, SH-FAN and DTLD 2.
    counts = {name: len(published_table(name).figures) for name in TABLES}
    assert counts == {
        "table1": 3 * 9 + 4 * 5 + 5 + 5,
        "table2": 6 * 14 + 8 + 2 + 2,
        "table3": 4,
        "table4": 5,
        "table5": 12,
        "table6": 5,
        "table7": 15,
    }


def test_known_cells_stand_where_they_belong() -> None:
    one, two = published_table("table1").figures, published_table("table2").figures
    assert one["fifa", "300w/challenge/nme_ic"].value == 4.47
    assert one["farl", "aflw/full/auc7_box"].value == 81.3
    assert one["picassonet", "aflw/frontal/nme_diag"].value == 1.30
    assert ("dtld", "cofw/test/fr10_ic") not in one
    assert two["picassonet", "wflw/largepose/fr10_ic"].value == 25.46
    assert two["fifa", "wflw/blur/fr10_ic"].value == 1.94
    assert [f.value for f in published_table("table3").figures.values()] == [3.11, 3.07, 3.00, 2.96]


def test_table_7s_mean_effects_are_the_audits() -> None:
    figures = published_table("table7").figures
    value = {row: figure.value for (row, _), figure in figures.items()}
    nets = ("hrnet", "adnet", "shfan", "farl", "slpt")
    assert sum(value[f"{n}_fifa"] - value[n] for n in nets) / 5 == pytest.approx(-0.13, abs=0.005)
    assert sum(value[f"{n}_dcca"] - value[f"{n}_fifa"] for n in nets) / 5 == pytest.approx(-0.046, abs=5e-4)


def test_columns_are_named_as_fiducias_results_and_have_the_official_faces() -> None:
    for column in {figure.column for figure in ALL}:
        assert column.metric in FIGURES
        assert datasets[column.data].counts[column.subset] == column.faces, column.key


@pytest.mark.parametrize(
    "figure", [f for f in ALL if f.column.metric == "fr10_ic"], ids=lambda f: f"{f.row}-{f.column.subset}"
)
def test_failure_rates_are_marked_unattainable_just_where_no_number_of_faces_gives_them(figure: Figure) -> None:
    marked = any(mark.kind == "unattainable" for mark in figure.marks)
    assert marked is not attainable(figure.value, figure.column.faces)


@given(faces=st.integers(1, 5000), share=st.floats(0, 1))
def test_every_real_share_is_attainable_rounded_and_cut_off(faces: int, share: float) -> None:
    hundredths = 10_000 * round(share * faces)
    assert attainable((hundredths // faces) / 100, faces)
    assert attainable(math.floor(hundredths / faces + 0.5) / 100, faces)


def test_shares_between_two_faces_are_not_attainable() -> None:
    assert not attainable(0.12, 507)
    assert attainable(0.20, 507)
    assert not attainable(1.55, 2500)
    assert attainable(12.27, 326)
    assert attainable(12.26, 326)
    assert not attainable(12.28, 326)


def test_marks_lie_on_the_figures_that_the_audit_names_and_on_no_others() -> None:
    assert kinds("table1", "adnet", "cofw/test/nme_ic") == {"inter_pupil"}
    assert kinds("table1", "adnet", "300w/full/nme_ic") == set()
    assert kinds("table7", "adnet_dcca", "cofw/test/nme_ic") == {"inter_pupil"}
    assert kinds("table1", "farl", "aflw/full/nme_diag") == {"best_on_test"}
    assert kinds("table1", "farl", "cofw/test/fr10_ic") == {"unattainable", "rerun"}
    assert kinds("table1", "shfan", "aflw/full/nme_box") == {"other_box"}
    assert kinds("table2", "farl", "wflw/test/nme_ic") == {"rerun"}
    assert not [f for f in ALL if f.row == "fifa" and f.marks]
    assert all(mark.note for figure in ALL for mark in figure.marks)


def test_every_figure_has_a_source_and_every_published_row_is_one_of_the_command_line() -> None:
    assert "2402.15044" in paper()["source"]
    for name in ("table1", "table2"):
        assert all("20" in system(row) for row in published_table(name).rows)
    for name in TABLES:
        rows = {row.published or row.name for row in load_table(name).rows}
        assert set(published_table(name).rows) <= rows, name


def test_an_unknown_table_names_the_known() -> None:
    with pytest.raises(KeyError, match="table7"):
        published_table("table8")
