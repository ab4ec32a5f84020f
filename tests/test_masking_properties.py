"""What must hold for any noise that masks are made of, ties included."""

import numpy as np
from harness import to_numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from mpm_keras.masking import PARTIAL_2D, PartMasking, PoseMasking, lowest, visible_frames
from mpm_keras.skeletons import H36M_17

# Shapes stay as they are: JAX compiles every operation for every shape.
examples = settings(max_examples=30, deadline=None, derandomize=True, database=None)
BATCH, FRAMES, JOINTS = 3, 9, 17
seeds = st.integers(0, 2**32 - 1)


def noise(seed, values, *shape):
    """Noise of few different values, so that there are ties."""
    return np.random.default_rng(seed).integers(0, values, shape).astype(np.float32) / values


@examples
@given(seeds, st.sampled_from((1, 2, 1000)), st.sampled_from((0, 5, 16)))
def test_exactly_as_many_are_marked_and_none_above_one_that_is_not(seed, values, count):
    drawn = noise(seed, values, BATCH, JOINTS)
    marked = to_numpy(lowest(drawn, count)).astype(bool)
    assert (marked.sum(axis=-1) == count).all()
    highest = np.where(marked, drawn, -1).max(axis=-1)
    assert (highest <= np.where(marked, 2, drawn).min(axis=-1)).all()


@examples
@given(seeds, st.sampled_from((1, 2, 1000)), st.sampled_from(("spatiotemporal", "tube", "temporal")))
def test_masks_hide_what_they_say_and_visible_frames_are_the_others(seed, values, strategy):
    masking = PoseMasking(5, 0.6, strategy, seed=0)
    masks = masking.from_noise(noise(seed, values, BATCH, FRAMES, JOINTS), noise(seed + 1, values, BATCH, FRAMES))
    joints, frames = (to_numpy(masks[name]).astype(bool) for name in ("joints", "frames"))
    spatial, temporal = masking.count_hidden(FRAMES, JOINTS)
    assert (joints.sum(axis=-1) == spatial).all() and (frames.sum(axis=-1) == temporal).all()
    visible = to_numpy(visible_frames(masks["frames"], FRAMES - temporal))
    assert (np.diff(visible, axis=1) > 0).all()
    assert not np.take_along_axis(frames, visible.astype(int), axis=1).any()


@examples
@given(seeds, st.sampled_from((1, 3, 1000)), st.sampled_from(sorted(PARTIAL_2D)))
def test_a_part_is_hidden_whole_and_in_all_frames(seed, values, row):
    choice = PARTIAL_2D[row]
    masking = PartMasking.of([choice], H36M_17, seed=0)
    hidden = to_numpy(masking.from_noise(np.zeros(BATCH, np.int32), noise(seed, values, BATCH, JOINTS), FRAMES))
    hidden = hidden.astype(bool)
    assert hidden.shape == (BATCH, FRAMES, JOINTS) and (hidden == hidden[:, :1]).all()
    if isinstance(choice, int):
        assert (hidden.sum(axis=-1) == choice).all()
    else:
        assert set(np.flatnonzero(hidden[0, 0])) == set(H36M_17.limb(*choice))
