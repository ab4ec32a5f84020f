"""Motion made by rule, the embedded data to pre-train on when there is none."""

from mpm_keras.data.synthetic.generate import ACTIVITIES, CLIPS_PER_SUBJECT, synthetic_motion

__all__ = ["ACTIVITIES", "CLIPS_PER_SUBJECT", "synthetic_motion"]
