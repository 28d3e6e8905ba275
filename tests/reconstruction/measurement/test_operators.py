import numpy as np
import pytest
import torch
from scipy.signal import resample_poly

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, NINE_LEADS
from reconstruction.measurement.operators import (
    Compose,
    LeadSelection,
    LinearOperator,
    Mask,
    MeasuredLeads,
    RateChange,
    Resampling,
)
from reconstruction.measurement.saturation import SaturatedLeads

N_LEADS, LENGTH = 8, 40


def random_mask(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.6


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


OPERATORS = {
    "lead I": LeadSelection(["I"]),
    "all leads": LeadSelection(LEADS),
    "aVR and V3": LeadSelection(["aVR", "V3"]),
    "mask": Mask(random_mask(N_LEADS, LENGTH)),
    "mask of each record": Mask(random_mask(2, N_LEADS, LENGTH)),
    "measured leads": MeasuredLeads(random_mask(12, LENGTH), LEADS),
    "measured leads of each record": MeasuredLeads(random_mask(2, 3, LENGTH), ["III", "II", "aVF"]),
    "saturated": SaturatedLeads(random_mask(4, LENGTH), ["I", "III", "aVF", "V2"]),
    "saturated in each record": SaturatedLeads(random_mask(2, 8, LENGTH), INDEPENDENT_LEADS),
    "down": Resampling(1, 2, LENGTH),
    "down by 5/2": Resampling(2, 5, LENGTH),
    "up": Resampling(5, 2, LENGTH),
    "same rate": Resampling(100, 100, LENGTH),
    "odd length": Resampling(3, 7, LENGTH),
    "any rate": RateChange(0.6247, LENGTH),
    "leads at half the rate": Compose(Resampling(1, 2, LENGTH), LeadSelection(["I", "V5"])),
    "gaps at half the rate": Compose(Mask(random_mask(8, 20)), Resampling(1, 2, LENGTH), Mask(random_mask(8, LENGTH))),
}


def all_operator_classes(base=LinearOperator):
    for cls in base.__subclasses__():
        yield cls
        yield from all_operator_classes(cls)


def test_every_operator_is_in_the_list():
    tested = {cls for operator in OPERATORS.values() for cls in type(operator).__mro__}
    assert set(all_operator_classes()) <= tested


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())
@pytest.mark.parametrize("lead_shape", [(2,), (3, 2)])
def test_adjoint_passes_the_dot_product_test(operator, lead_shape):
    x = draw(*lead_shape, N_LEADS, LENGTH)
    image = operator(x)
    y = draw(*image.shape, seed=1)
    back = operator.adjoint(y)
    assert back.shape == x.shape
    left, right = (image * y).sum(), (x * back).sum()
    assert abs(left - right) <= 1e-10 * image.norm() * y.norm()


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())
def test_pinv_obeys_the_conditions_of_moore_and_penrose(operator):
    x = draw(2, N_LEADS, LENGTH)
    image = operator(x)
    torch.testing.assert_close(operator(operator.pinv(image)), image, rtol=1e-8, atol=1e-8)
    y = draw(*image.shape, seed=1)
    best = operator.pinv(y)
    torch.testing.assert_close(operator.pinv(operator(best)), best, rtol=1e-7, atol=1e-7)
    # The misfit is orthogonal to all that can be measured, and the answer to all that cannot.
    torch.testing.assert_close(operator.adjoint(y - operator(best)), torch.zeros_like(x), rtol=0, atol=1e-8)
    unseen = x - operator.pinv(image)
    assert abs((unseen * best).sum()) < 1e-7


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())
def test_pinv_of_a_record_does_not_depend_on_its_batch_mates(operator):
    if getattr(getattr(operator, "observed", None), "ndim", 2) == 3:
        pytest.skip("its mask is one for each record")
    image = operator(draw(1, N_LEADS, LENGTH))
    others = operator(1e3 * draw(1, N_LEADS, LENGTH, seed=9))
    together, alone = operator.pinv(torch.cat([image, others])), operator.pinv(torch.cat([image, image]))
    assert torch.equal(together[0], alone[0])


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())
def test_float32_stays_float32(operator):
    x = draw(2, N_LEADS, LENGTH).float()
    y = operator(x)
    assert y.dtype == operator.adjoint(y).dtype == operator.pinv(y).dtype == torch.float32


def test_lead_selection_derives_limb_leads():
    x = draw(2, 8, 5)
    one, two = x[:, 0], x[:, 1]
    third, avr = LeadSelection(["iii", "AVR"])(x).unbind(1)
    torch.testing.assert_close(third, two - one)
    torch.testing.assert_close(avr, -(one + two) / 2)
    nine = draw(9, 5)
    torch.testing.assert_close(LeadSelection(["V2"], NINE_LEADS)(nine)[0], nine[4])


def test_resampling_keeps_a_slow_wave():
    time = torch.arange(400, dtype=torch.float64)
    wave = torch.sin(2 * np.pi * 0.01 * time)[None, None]
    for up, down in ((1, 4), (5, 1), (2, 5)):
        resampled = Resampling(up, down, 400)(wave)[0, 0]
        expected = torch.sin(2 * np.pi * 0.01 * torch.arange(len(resampled)) * down / up)
        middle = slice(len(resampled) // 4, -len(resampled) // 4)
        torch.testing.assert_close(resampled[middle], expected.double()[middle], rtol=0, atol=5e-3)
        reference = resample_poly(wave[0, 0].numpy(), up, down)
        np.testing.assert_allclose(resampled.numpy()[middle], reference[middle], atol=5e-3)


def test_a_mask_must_have_a_row_for_each_lead():
    with pytest.raises(ValueError, match="one for each"):
        MeasuredLeads(torch.ones(2, 10, dtype=torch.bool), ["I"])


@pytest.mark.parametrize(
    ("leads", "identified", "complete"),
    [
        (["I"], {"I"}, True),
        (["III"], set(), False),
        (["aVF", "aVL"], {"I", "II"}, True),
        (["III", "V2"], {"V2"}, False),
        (["II", "III", "aVR", "V6"], {"I", "II", "V6"}, True),
    ],
)
def test_identified_leads(leads, identified, complete):
    observed, holds_all = LeadSelection(leads).identified(torch.zeros(1))
    assert {lead for lead, known in zip(INDEPENDENT_LEADS, observed[:, 0], strict=True) if known} == identified
    assert bool(holds_all.all()) == complete


def test_identified_samples_follow_the_mask():
    observed = torch.tensor([[True, True, False], [False, True, True]])
    known, complete = MeasuredLeads(observed, ["I", "aVF"]).identified(torch.zeros(1))
    assert known[0].tolist() == [True, True, False]
    assert known[1].tolist() == [False, True, False]
    assert complete.tolist() == [True, True, False]


def saturate(x, leads, rail):
    """Cuts the leads of `x` at +-rail, as a recorder does."""
    y = LeadSelection(leads)(x)
    lower = torch.where(y >= rail, rail, -torch.inf)
    upper = torch.where(y <= -rail, -rail, torch.inf)
    return SaturatedLeads(y.abs() < rail, leads, INDEPENDENT_LEADS, lower, upper), y


@pytest.mark.parametrize("leads", [["I", "V2"], ["III"], LEADS, ["I", "II", "aVF"]])
def test_pull_keeps_the_bounds_and_what_was_measured(leads):
    truth = draw(2, N_LEADS, LENGTH)
    operator, y = saturate(truth, leads, 0.8)
    x = truth + 0.5 * draw(3, 2, N_LEADS, LENGTH, seed=1)
    # The ECG fits what was measured, as samples do where they are completed.
    x = x + operator.pinv(operator(truth) - operator(x))
    pulled = operator.pull(x)
    twelve = LeadSelection(leads)(pulled)
    assert (twelve >= operator.lower - 1e-4).all()
    assert (twelve <= operator.upper + 1e-4).all()
    torch.testing.assert_close(operator(pulled), operator(x), rtol=0, atol=1e-8)
    assert not torch.equal(pulled, x)
    # An ECG within the bounds stays, to the bit.
    assert torch.equal(operator.pull(truth), truth)
    assert torch.equal(operator.pull(pulled)[0], operator.pull(pulled[0]))


def test_pull_of_a_single_lead_is_a_clamp():
    operator = SaturatedLeads(
        torch.tensor([[True, False, False, False]]),
        ["V2"],
        lower=torch.tensor([[-torch.inf, 1.0, 1.0, -torch.inf]]),
        upper=torch.tensor([[torch.inf, torch.inf, torch.inf, -1.0]]),
    )
    x = torch.tensor([0.3, 0.2, 1.7, 0.1]).expand(8, 4)
    pulled = operator.pull(x)
    torch.testing.assert_close(pulled[3], torch.tensor([0.3, 1.0, 1.7, -1.0]))
    assert torch.equal(pulled[[0, 1, 2, 4, 5, 6, 7]], x[:7])
    assert torch.equal(SaturatedLeads(torch.ones(1, 4, dtype=torch.bool), ["V2"]).pull(x), x)


@pytest.mark.parametrize(("up", "down"), [(1, 2), (5, 8), (97, 100)])
def test_a_change_by_any_ratio_is_that_by_a_fraction(up, down):
    x = draw(2, 300).cumsum(-1)
    expected = Resampling(up, down, 300)(x)
    assert (RateChange(up / down, 300)(x) - expected).abs().max() < 3e-4 * expected.abs().max()


def test_a_ratio_that_is_no_small_fraction_costs_no_more():
    operator = RateChange(0.624725, 1000)
    assert operator(torch.zeros(1, 1000)).shape == (1, 625)
    with pytest.raises(ValueError, match="ratio"):
        RateChange(1.2, 1000)
