import json

import numpy as np
import pytest
from harness import seed_weights, to_numpy

from mpm_keras.errors import InputError
from mpm_keras.models import MPMLifter, MPMPretrainer, MPMRefiner, load_preset, save_preset
from mpm_keras.models.presets import named_weights, read_preset, sha256

SIZE = dict(frames=9, joints=4, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8)
NETWORKS = {
    "lifter": lambda: MPMLifter(**SIZE),
    "pretrainer": lambda: MPMPretrainer(hidden_frames=3, **SIZE),
    "refiner": lambda: MPMRefiner(joints=4, units=8),
}


@pytest.fixture
def preset(tmp_path):
    network = MPMLifter(**SIZE)
    seed_weights(network)
    save_preset(network, tmp_path / "preset", skeleton="h36m17", fps=50.0)
    return tmp_path / "preset"


@pytest.mark.parametrize("kind", NETWORKS)
def test_round_trip(kind, tmp_path):
    network = NETWORKS[kind]()
    seed_weights(network)
    save_preset(network, tmp_path, note="kept")
    revived = load_preset(tmp_path)
    assert type(revived) is type(network)
    assert read_preset(tmp_path)["facts"] == {"note": "kept"}
    assert len(named_weights(network)) == len(network.weights), "two weights share a name"
    for old, new in zip(network.weights, revived.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(old.value), to_numpy(new.value))


def test_overrides(preset):
    assert load_preset(preset, dropout=0.0).backbone.dropout == 0.0


def test_only_plain_files(preset):
    assert sorted(p.name for p in preset.iterdir()) == ["preset.json", "weights.npz"]
    np.load(preset / "weights.npz", allow_pickle=False)


def edit(preset, **changes):
    header = json.loads((preset / "preset.json").read_text())
    (preset / "preset.json").write_text(json.dumps({**header, **changes}))


def rewrite_weights(preset, change):
    with np.load(preset / "weights.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    change(arrays)
    np.savez(preset / "weights.npz", **arrays)
    edit(preset, weights_sha256=sha256(preset / "weights.npz"))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda p: (p / "preset.json").unlink(), "expected the preset.json"),
        (lambda p: (p / "preset.json").write_text("{"), "expected the preset.json"),
        (lambda p: (p / "preset.json").write_text("[1]"), "not an 'mpm_keras preset'"),
        (lambda p: edit(p, version=2), "of version 1"),
        (lambda p: edit(p, network="Lambda"), "unknown network 'Lambda'"),
        (lambda p: edit(p, network=["MPMLifter"]), "unknown network"),
        (lambda p: edit(p, config={"frames": 17}), "not a configuration"),
        (lambda p: edit(p, config={"function": "os.system"}), "not a configuration"),
        (lambda p: (p / "weights.npz").unlink(), "weights.npz: no such file"),
        (lambda p: (p / "weights.npz").write_bytes((p / "weights.npz").read_bytes()[:-9]), "sha256"),
        (
            lambda p: rewrite_weights(p, lambda a: a.pop("decoder/head/dense/bias")),
            "holds no decoder/head/dense/bias",
        ),
        (
            lambda p: rewrite_weights(p, lambda a: a.update(more=np.zeros(1))),
            "holds more, which the model does not have",
        ),
        (
            lambda p: rewrite_weights(p, lambda a: a.update({"decoder/head/dense/bias": np.zeros(3)})),
            r"decoder/head/dense/bias has shape \(3,\), the model needs \(12,\)",
        ),
        (
            lambda p: rewrite_weights(p, lambda a: a.update({"decoder/head/dense/bias": np.array([print] * 12)})),
            "pickled objects is refused",
        ),
        (
            lambda p: rewrite_weights(p, lambda a: a.update({"decoder/head/dense/bias": np.full(12, np.nan)})),
            "'decoder/head/dense/bias' holds NaN or infinity",
        ),
        (
            lambda p: rewrite_weights(p, lambda a: a.update({"decoder/head/dense/bias": np.array(["1.5"] * 12)})),
            "decoder/head/dense/bias holds <U3, the model needs float32",
        ),
        (lambda p: edit(p, facts=[1]), "expected facts by name, found list"),
        (lambda p: edit(p, config={**SIZE, "epsilon": float("nan")}), "NaN is no number"),
    ],
)
def test_damage_is_named(preset, spoil, message):
    spoil(preset)
    with pytest.raises(InputError, match=message) as raised:
        load_preset(preset)
    assert str(preset) in str(raised.value) and "\n" not in str(raised.value)


def test_half_precision_storage(tmp_path):
    network = MPMLifter(**SIZE)
    seed_weights(network)
    save_preset(network, tmp_path / "whole")
    save_preset(network, tmp_path / "half", storage="float16")
    sizes = [(tmp_path / name / "weights.npz").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.9 * sizes[0]
    revived = load_preset(tmp_path / "half")
    for old, new in zip(network.weights, revived.weights, strict=True):
        assert new.dtype == old.dtype
        np.testing.assert_allclose(to_numpy(new.value), to_numpy(old.value), rtol=1e-3, atol=1e-6)
    network.weights[0].assign(np.full(network.weights[0].shape, 1e6))
    with pytest.raises(ValueError, match=r"reaches 1e\+06, more than float16 holds"):
        save_preset(network, tmp_path / "over", storage="float16")


ABSURD = [
    {"frames": 10**7}, {"joints": 10**8}, {"layers": 10**6}, {"width": 10**9}, {"encoder_width": 10**9},
    {"feed_forward": 10**9}, {"frames": -9}, {"width": 0}, {"layers": True}, {"layers": 1.0}, {"heads": "2"},
    {"frames": [9] * 9}, {"width": {"width": 8}}, {"dropout": 1.0}, {"dropout": -0.1}, {"dropout": "none"},
    {"encoder_dropout": None}, {"epsilon": 0}, {"normalization": "lens"}, {"normalization": ["screen"]},
    {"name": "x"}, {"trainable": False}, {"dtype": {"class_name": "DTypePolicy", "config": {"name": "float64"}}},
    {"a" * 10_000: 1},
]  # fmt: skip


@pytest.mark.parametrize("change", ABSURD, ids=lambda change: " ".join(change)[:20])
def test_absurd_configurations_are_refused_before_anything_is_made(change, preset, monkeypatch):
    def made(*args, **options):
        raise AssertionError("a layer was made")

    monkeypatch.setattr("mpm_keras.models.lifter.MPMBackbone", made)
    config = json.loads((preset / "preset.json").read_text())["config"]
    edit(preset, config={**config, **change})
    with pytest.raises(InputError, match="not a configuration of MPMLifter") as caught:
        load_preset(preset)
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind, change", [("pretrainer", {"decoder_blocks": 10**6}), ("refiner", {"units": 10**9})])
def test_absurd_configurations_of_the_others(kind, change, tmp_path):
    save_preset(NETWORKS[kind](), tmp_path)
    config = json.loads((tmp_path / "preset.json").read_text())["config"]
    edit(tmp_path, config={**config, **change})
    with pytest.raises(InputError, match="not a configuration of"):
        load_preset(tmp_path)


def test_a_network_too_large_for_any_machine_is_not_begun():
    for size in ({"width": 1 << 20}, {"layers": 10**6}, {"encoder_width": 1 << 20}, {"frames": 10**9}):
        with pytest.raises(ValueError, match="parameters is refused"):
            MPMLifter(**{**SIZE, **size})
    for size in ({"frames": 3**7}, {"heads": 10**6}):
        with pytest.raises(ValueError, match="heads over .* frames are refused"):
            MPMLifter(**{**SIZE, **size})
