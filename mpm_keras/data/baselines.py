"""What anybody can predict for hidden joints without a network."""

import numpy as np


def interpolate_hidden(poses: np.ndarray, hidden: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """Fills hidden joints by linear interpolation in time between the frames that show them.

    Before the first and after the last frame that shows a joint its value is held; a joint that no
    frame shows takes the fallback.

    Args:
        poses: (B, F, J, D).
        hidden: (B, F, J) bool.
        fallback: (J, D), such as the mean pose of the training data.

    Returns:
        (B, F, J, D).
    """
    filled = np.array(poses)
    time = np.arange(poses.shape[1])
    for b, j in np.ndindex(poses.shape[0], poses.shape[2]):
        seen = ~hidden[b, :, j]
        if not seen.any():
            filled[b, :, j] = fallback[j]
            continue
        for d in range(poses.shape[3]):
            filled[b, ~seen, j, d] = np.interp(time[~seen], time[seen], poses[b, seen, j, d])
    return filled
