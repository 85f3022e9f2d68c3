from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fiducia.losses.correlation import canonical_correlation, scalar_correlation, trace_norm


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def everything(b: int, k: int) -> Tensor:
    return torch.ones(b, k, dtype=torch.bool)


def correlation(a: Tensor, b: Tensor, **options: object) -> Tensor:
    return canonical_correlation(a, b, everything(*a.shape[:2]), **{"shrinkage": 0.0, **options})  # type: ignore[arg-type]


def naive(a: Tensor, b: Tensor, eps: float = 1e-6) -> Tensor:
    """The textbook formula under plain autograd: eigenvectors, and all singular values of T."""
    h1 = (a - a.mean(0)).flatten(0, 1)
    h2 = (b - b.mean(0)).flatten(0, 1)
    dof = len(h1) - a.shape[1]
    h1, h2 = h1 / (h1.square().sum(0) / dof).sqrt(), h2 / (h2.square().sum(0) / dof).sqrt()
    eye = torch.eye(h1.shape[1], dtype=h1.dtype)

    def root(s: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(s)
        return vectors @ torch.diag(values.rsqrt()) @ vectors.T

    s11, s22 = h1.T @ h1 / dof + eps * eye, h2.T @ h2 / dof + eps * eye
    return torch.linalg.svdvals(root(s11) @ (h1.T @ h2 / dof) @ root(s22)).sum()


def test_value_and_gradient_agree_with_float64_autograd() -> None:
    a, b = normal(20, 6, 5), 0.6 * normal(20, 6, 5) + normal(20, 6, 5, seed=1)
    a1, b1 = a.clone().requires_grad_(), b.clone().requires_grad_()
    a2, b2 = a.clone().requires_grad_(), b.clone().requires_grad_()
    ours, theirs = correlation(a1, b1), naive(a2, b2)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-10)
    ours.backward()
    theirs.backward()
    assert a1.grad is not None
    assert b1.grad is not None
    assert torch.allclose(a1.grad, a2.grad, atol=1e-10)  # type: ignore[arg-type]
    assert torch.allclose(b1.grad, b2.grad, atol=1e-10)  # type: ignore[arg-type]


@pytest.mark.parametrize("shrinkage", [0.0, 0.05])
@pytest.mark.parametrize("center", ["landmark", "landmark+face", "global"])
def test_gradcheck_through_masks_centring_and_shrinkage(shrinkage: float, center: str) -> None:
    valid = everything(7, 4)
    valid[0, 1] = valid[3, 2] = False
    a, b = normal(7, 4, 3).requires_grad_(), normal(7, 4, 3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, y: canonical_correlation(x, y, valid, shrinkage=shrinkage, center=center), (a, b), atol=1e-6
    )


def test_squared_form_is_the_sum_of_squares() -> None:
    a, b = normal(40, 5, 4), 0.5 * normal(40, 5, 4) + normal(40, 5, 4, seed=1)
    h1, h2 = ((x - x.mean(0)).flatten(0, 1) for x in (a, b))
    q1, q2 = torch.linalg.qr(h1)[0], torch.linalg.qr(h2)[0]
    expected = torch.linalg.svdvals(q1.T @ q2).square().sum()
    assert correlation(a, b, squared=True, eps=0.0).item() == pytest.approx(expected.item(), rel=1e-6)


def test_identical_views_correlate_fully() -> None:
    a = normal(64, 10, 8)
    assert correlation(a, a).item() == pytest.approx(8.0, abs=1e-4)


@pytest.mark.parametrize(
    ("m", "o", "null"),
    [(64, 4, 0.20), (64, 16, 0.43), (256, 4, 0.08), (256, 16, 0.21), (1024, 16, 0.10), (256, 64, 0.43)],
)
def test_independent_views_give_the_null_table(m: int, o: int, null: float) -> None:
    """Facts 5.4: mean correlation a dimension of independent Gaussian views with one landmark."""
    values = [
        correlation(normal(m, 1, o, seed=s), normal(m, 1, o, seed=s + 1000), eps=1e-3).item() / o for s in range(5)
    ]
    assert sum(values) / 5 == pytest.approx(null, abs=0.03)


def test_landmark_identity_alone_is_no_correlation_unless_centred_globally() -> None:
    """Facts 5.5: with per-landmark constants the global mean reports high correlation, the landmark's own the null."""
    identity = 3.0 * normal(1, 29, 16, seed=9)
    a, b = identity + normal(20, 29, 16, seed=1), identity + normal(20, 29, 16, seed=2)
    assert correlation(a, b, center="global").item() / 16 > 0.5
    assert correlation(a, b, center="landmark").item() / 16 == pytest.approx(0.14, abs=0.03)


def test_a_share_common_to_the_face_vanishes_with_face_centring() -> None:
    def face(seed: int) -> Tensor:
        return 2.0 * normal(20, 1, 8, seed=seed)

    a, b = face(1) + normal(20, 68, 8, seed=3), face(2) + normal(20, 68, 8, seed=4)
    assert correlation(a, b).item() / 8 > 0.3
    assert correlation(a, b, center="landmark+face").item() / 8 < 0.12


def test_invariant_to_invertible_linear_maps() -> None:
    a, b = normal(50, 4, 5), 0.7 * normal(50, 4, 5) + normal(50, 4, 5, seed=1)
    moved = correlation(a @ normal(5, 5, seed=7), b @ normal(5, 5, seed=8), eps=1e-12)
    assert moved.item() == pytest.approx(correlation(a, b, eps=1e-12).item(), abs=1e-6)


@pytest.mark.parametrize("shrinkage", [0.0, 0.05, 0.5])
def test_no_correlation_passes_one(shrinkage: float) -> None:
    a = normal(30, 2, 10)
    assert correlation(a, a + 0.01 * normal(30, 2, 10, seed=1), shrinkage=shrinkage).item() <= 10.0 + 1e-6


def test_gradients_stay_finite_with_fewer_samples_than_dimensions() -> None:
    a, b = normal(5, 1, 64).float().requires_grad_(), normal(5, 1, 64, seed=1).float().requires_grad_()
    canonical_correlation(a, b, everything(5, 1), shrinkage=0.05).backward()
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()


def test_landmarks_with_one_sample_and_invalid_pairs_do_not_count() -> None:
    a, b = normal(12, 3, 4), normal(12, 3, 4, seed=1)
    valid = everything(12, 3)
    valid[1:, 2] = False
    kept = canonical_correlation(a[:, :2], b[:, :2], everything(12, 2))
    assert canonical_correlation(a, b, valid).item() == pytest.approx(kept.item(), abs=1e-12)
    a[0, 2] = float("nan")
    assert canonical_correlation(a, b, valid).item() == pytest.approx(kept.item(), abs=1e-12)


def test_nothing_valid_is_zero_with_a_gradient_not_an_error() -> None:
    a = normal(4, 2, 3).requires_grad_()
    value = canonical_correlation(a, a, torch.zeros(4, 2, dtype=torch.bool))
    value.backward()
    assert value.item() == 0.0


def test_scalar_form_is_pearsons_coefficient_of_every_sample() -> None:
    a, b = normal(3, 40), normal(3, 40, seed=1)
    expected = torch.stack([torch.corrcoef(torch.stack([x, y]))[0, 1] for x, y in zip(a, b, strict=True)]).mean()
    assert scalar_correlation(a, b).item() == pytest.approx(expected.item(), abs=1e-12)


def test_trace_norm_of_the_identity_is_its_size() -> None:
    eye = torch.eye(6, dtype=torch.float64)
    assert trace_norm(eye, 0.5 * eye, eye).item() == pytest.approx(3.0)


def test_an_unknown_centring_is_told() -> None:
    with pytest.raises(ValueError, match="dcca_center"):
        correlation(normal(4, 2, 2), normal(4, 2, 2), center="point")
