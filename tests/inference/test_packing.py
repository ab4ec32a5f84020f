import numpy as np
import pytest
from harness import seed_weights

from mpm_keras.errors import InputError
from mpm_keras.inference.packing import pack
from mpm_keras.inference.pose_lifter import PoseLifter
from mpm_keras.models import MPMLifter, MPMPretrainer, save_preset

pytestmark = pytest.mark.once
SMALL = dict(frames=9, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8)
FACTS = dict(skeleton="h36m17", stride=2, fps=50.0, detector="noisy", confidence_threshold=0.3)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, network in (("lift", MPMLifter(**SMALL)), ("complete", MPMPretrainer(**SMALL))):
        seed_weights(network, scale=0.1)
        save_preset(network, folder / name / "network", stage=name, **FACTS)
    return folder


def test_half_precision_is_measured_and_lifts(runs, tmp_path):
    facts = pack(runs / "lift", tmp_path / "preset", runs / "complete", "float16")
    assert facts["stored_as"] == "float16" and 0 < facts["stored_difference_mm"] < 50
    assert facts["stage"] == "lift" and facts["detector"] == "noisy"
    lifter = PoseLifter.from_preset(tmp_path / "preset")
    assert lifter.completer is not None
    points = np.random.default_rng(0).uniform(200, 400, (12, 17, 2))
    assert np.isfinite(lifter.lift(points, image_size=(640, 480), fps=30).positions_3d).all()


def test_full_precision_makes_no_difference(runs, tmp_path):
    assert pack(runs / "lift", tmp_path / "preset")["stored_difference_mm"] == 0
    with pytest.raises(InputError, match="holds a preset already"):
        pack(runs / "lift", tmp_path / "preset")
    with pytest.raises(InputError, match="holds an MPMPretrainer, expected an MPMLifter"):
        pack(runs / "complete", tmp_path / "other")
