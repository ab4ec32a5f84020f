from mpm_keras.layers.center_decoder import CenterDecoder
from mpm_keras.layers.decoder import PoseDecoder, PoseHead, StridedDecoder, strides_for
from mpm_keras.layers.encoder import PoseEncoder, SpatialMLP
from mpm_keras.layers.framing import WindowFraming, framing_for
from mpm_keras.layers.refine import RefineMLP
from mpm_keras.layers.tokens import FramePositions, FrameToken, JointToken
from mpm_keras.layers.transformer import SelfAttention, StridedTransformerBlock, TransformerBlock

__all__ = [
    "CenterDecoder",
    "FramePositions",
    "FrameToken",
    "JointToken",
    "PoseDecoder",
    "PoseEncoder",
    "PoseHead",
    "RefineMLP",
    "SelfAttention",
    "SpatialMLP",
    "StridedDecoder",
    "StridedTransformerBlock",
    "TransformerBlock",
    "WindowFraming",
    "framing_for",
    "strides_for",
]
