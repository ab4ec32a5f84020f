"""The same weights give the same predictions on every backend: within 1e-4 m of stored numbers.

The numbers were made once, with weights and inputs from NumPy. Where the network changes on purpose,
print new ones, and see that all backends agree on them:

    KERAS_BACKEND=tensorflow PYTHONPATH=tests python tests/inference/test_same_predictions.py
"""

import keras
import numpy as np
from harness import seed_weights

from mpm_keras.inference.clips import lift_clip
from mpm_keras.models.lifter import MPMLifter
from mpm_keras.skeletons import H36M_17

# Joint 3, 10 and 16 of poses: x, y, z in metres.
REFERENCE = {
    "center": [[0.923308, 0.216397, -1.476075], [-1.488751, 0.754462, 3.888212], [0.821445, -1.530693, -1.337279]],
    "sequence": [[0.415487, -1.23253, -1.020832], [1.269211, 1.617932, 0.294411], [0.895358, -2.234433, -0.382073]],
    "lift_center": [[-0.807036, 1.443774, -3.23303], [0.019566, 2.731165, 1.153034], [-1.648924, 0.559505, -4.444159]],
    "lift_sequence": [[0.152112, -1.7489, -0.439875], [-0.167951, -0.462675, 0.189463], [0.520344, -2.243101, 0.26409]],
}
JOINTS = (3, 10, 16)


def predictions() -> dict:
    """What the network says about a batch, and what `lift_clip` makes of a clip, at some joints."""
    network = MPMLifter(frames=27, joints=17, layers=2, width=16, encoder_width=24, heads=4, feed_forward=32)
    seed_weights(network, scale=0.2)
    rng = np.random.default_rng(1)
    pose = rng.normal(scale=0.3, size=(2, 27, 17, 2)).astype(np.float32)
    hidden = rng.uniform(size=(2, 27, 17)) < 0.2
    outputs = network.predict_on_batch({"pose_2d": pose, "hidden": hidden})
    clip, unseen = rng.normal(scale=0.3, size=(70, 17, 2)).astype(np.float32), rng.uniform(size=(70, 17)) < 0.2
    found = {"center": outputs["center"][1, 0], "sequence": outputs["sequence"][0, 20]}
    for mode in ("center", "sequence"):
        found[f"lift_{mode}"] = lift_clip(network, clip, H36M_17, hidden=unseen, mode=mode, stride=2)[33]
    return {name: np.asarray(pose)[JOINTS, :] for name, pose in found.items()}


def test_predictions_are_those_of_the_other_backends():
    for name, found in predictions().items():
        np.testing.assert_allclose(found, REFERENCE[name], rtol=0, atol=1e-4, err_msg=name)


def test_the_reference_is_worth_comparing():
    """Poses of human size, that differ from each other by far more than the tolerance."""
    values = np.array(list(REFERENCE.values()))
    assert 0.1 < np.abs(values).max() < 10
    assert all(np.abs(a - b).max() > 0.01 for i, a in enumerate(values) for b in values[:i])


if __name__ == "__main__":
    print(keras.backend.backend())
    for name, found in predictions().items():
        print(f'    "{name}": {np.round(found.astype(float), 6).tolist()},')
