import numpy as np
import pytest
import torch

from einthoven.run.weights_file import write_weights
from evaluation.classification.classifier import Classifier, check_classifier, load_classifier
from evaluation.classification.labels import CLASSES, find_classes

NETWORK = {"blocks": [1], "stem": [4, 4, 4], "width": 4, "n_features": 8, "dropout": 0.0}
SPEC = {
    "classes": "rhythms",
    "leads": ["I", "II"],
    "sampling_rate": 100.0,
    "crop": 2.5,
    "stride": 1.25,
    "aggregate": "mean",
    "network": NETWORK,
    "trained_on": "real",
}


def classifier(**changes):
    torch.manual_seed(0)
    return Classifier({**SPEC, **changes}).eval()


def test_crops_overlap_by_half_and_reach_the_end():
    x = torch.arange(1000.0).expand(1, 2, -1)
    crops = classifier().crops(x)[0, :, 0]
    assert crops[:, 0].tolist() == [0, 125, 250, 375, 500, 625, 750]
    assert classifier().crops(x[..., :700])[0, :, 0, -1].tolist() == [249, 374, 499, 624, 699]
    with pytest.raises(ValueError, match="shorter than the classifier's crops"):
        classifier().crops(x[..., :200])


@pytest.mark.parametrize("aggregate", ["mean", "max"])
@pytest.mark.parametrize("classes", ["rhythms", "statements"])
def test_probabilities_of_a_record_are_those_of_its_crops(aggregate, classes):
    model, x = classifier(aggregate=aggregate, classes=classes), torch.randn(3, 2, 600)
    with torch.no_grad():
        logits = torch.stack([model(crop) for crop in model.crops(x).unbind(1)]).double()
    expected = logits.softmax(-1) if classes == "rhythms" else logits.sigmoid()
    expected = expected.mean(0) if aggregate == "mean" else expected.amax(0)
    found = model.predict(x.numpy())
    assert found.shape == (3, len(CLASSES[classes].names))
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(model.predict(x.numpy()[1:2]), found[1:2], atol=1e-6)  # no batch-mates
    np.testing.assert_allclose(model.predict(x.numpy(), chunk=2), found, atol=1e-6)


def test_features_are_what_the_last_layer_sees():
    model, x = classifier(), torch.randn(2, 2, 600)
    with torch.no_grad():
        model.network.last.weight.normal_()
        logits = torch.stack([model(crop) for crop in model.crops(x).unbind(1)]).mean(0)
        found = model.network.last(torch.from_numpy(model.features(x.numpy())).float())
    np.testing.assert_allclose(found, logits, atol=1e-4)


def test_standardisation_undoes_a_gain_and_an_offset():
    model, x = classifier(), np.random.default_rng(0).standard_normal((2, 2, 500)).astype(np.float32)
    before = model.predict(x)
    model.mean.fill_(0.5)
    model.std.fill_(2.0)
    np.testing.assert_allclose(model.predict(2 * x + 0.5), before, atol=1e-5)


def test_round_trip(tmp_path):
    model, x = classifier(), np.random.default_rng(0).standard_normal((2, 2, 500))
    model.mean.fill_(0.1)
    write_weights(tmp_path / "weights.safetensors", model, model.spec, {"steps": 3})
    loaded = load_classifier(tmp_path)
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert (
        loaded.classes == CLASSES["rhythms"].names
        and loaded.leads == ("I", "II")
        and loaded.describe() == "real, I, II"
    )
    assert check_classifier(loaded, "rhythms", ["i", "ii"]) is loaded
    with pytest.raises(ValueError, match="evaluate.classes"):
        check_classifier(loaded, "statements", None)
    with pytest.raises(ValueError, match="evaluate.leads"):
        check_classifier(loaded, None, ["I"])


def test_what_does_not_suit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no weights at"):
        load_classifier(tmp_path)
    with pytest.raises(ValueError, match=r"model\.aggregate"):
        classifier(aggregate="median")
    with pytest.raises(ValueError, match=r"model\.stride"):
        classifier(stride=3.0)
    with pytest.raises(ValueError, match="2 leads"):
        classifier().predict(np.zeros((1, 12, 500)))


def test_a_record_counts_with_exactly_one_rhythm():
    statements = [["NORM", "SR"], ["NORM"], ["CLBBB", "SR"], ["AFIB", "CRBBB"], ["AFIB"], ["NORM", "SR", "IRBBB"], []]
    kept, labels = find_classes("rhythms").labels(statements)
    assert kept.tolist() == [True, False, True, False, True, True, False]
    assert labels[kept].argmax(axis=1).tolist() == [0, 1, 2, 0]
    kept, labels = find_classes("statements").labels(statements)
    assert kept.all() and labels.sum(axis=1).tolist() == [2, 1, 2, 2, 1, 3, 0]
    with pytest.raises(ValueError, match=r"evaluate\.classes"):
        find_classes("beats")
