"""The released network once more, in NumPy and float64, from the description of its tensors; and random weights for it.

Written independently of `mpm_keras.models`: names, layouts and the order of operations are those of the
released PyTorch code, channel by channel.
"""

import numpy as np

STRIDES = {9: (1, 3, 3), 27: (3, 3, 3), 81: (3,) * 4, 243: (3,) * 5, 351: (3, 9, 13)}
HEADS, EPSILON, SLOPE = 8, 1e-6, 0.2


def random_state(kind, *, frames=9, joints=16, layers=2, width=16, encoder_width=24, feed_forward=20, seed=0) -> dict:
    """A state dict of random tensors. kind: "stage1", "completion", "stage2" or "refine"."""
    rng, state = np.random.default_rng(seed), {}

    def put(key, *shape, center=0.0, scale=0.3):
        state[key] = (center + scale * rng.standard_normal(shape)).astype(np.float32)

    def linear(key, outputs, inputs, *kernel):
        put(f"{key}.weight", outputs, inputs, *kernel, scale=1 / np.sqrt(inputs))
        put(f"{key}.bias", outputs)

    def batch_norm(key, channels):
        put(f"{key}.weight", channels, center=1.0)
        for name in ("bias", "running_mean"):
            put(f"{key}.{name}", channels)
        state[f"{key}.running_var"] = rng.uniform(0.5, 1.5, channels).astype(np.float32)
        state[f"{key}.num_batches_tracked"] = np.array(7, np.int64)

    def layer_norm(key):
        put(f"{key}.a_2", width, center=1.0)
        put(f"{key}.b_2", width)

    def block(key, *kernels):
        for i in range(4):
            linear(f"{key}.self_attn.linears.{i}", width, width)
        linear(f"{key}.feed_forward.w_1", feed_forward, width, *kernels[:1])
        linear(f"{key}.feed_forward.w_2", width, feed_forward, *kernels[1:])
        for i in range(2):
            layer_norm(f"{key}.sublayer.{i}.norm")

    def head(key, outputs):
        batch_norm(f"{key}.0", width)
        put(f"{key}.1.weight", outputs, width, 1, scale=0.05)  # coordinates of about a metre
        put(f"{key}.1.bias", outputs, scale=0.1)

    if kind == "refine":
        linear("post_refine.0", encoder_width, 6 * joints)
        linear("post_refine.3", 2 * joints, encoder_width)
        return state
    for dims in (2,) if kind == "stage2" else (2, 3):
        linear(f"encoder{dims}d.fc_1", encoder_width, dims * joints, 1)
        batch_norm(f"encoder{dims}d.bn_1", encoder_width)
    for i in (1, 2):
        linear(f"shared_layers_spatial.layers.0.w{i}", encoder_width, encoder_width, 1)
        batch_norm(f"shared_layers_spatial.layers.0.batch_norm{i}", encoder_width)
    linear("shared_layers_spatial.fc_2", width, encoder_width, 1)
    put("shared_layers_temporal.pos_embedding", 1, frames, width, scale=1.0)
    for i in range(layers):
        block(f"shared_layers_temporal.model.layers.{i}")
    layer_norm("shared_layers_temporal.model.norm")
    if kind == "stage2":
        for i in (1, 2, 3):
            put(f"Transformer_reduce.model.pos_embedding_{i}", 1, frames, width, scale=1.0)
        for i in range(len(STRIDES[frames])):
            block(f"Transformer_reduce.model.layers.{i}", 1, 3)
        layer_norm("Transformer_reduce.model.norm")
        head("fcn", 3 * joints)
        head("fcn_1", 3 * joints)
        return state
    layer_norm("encoder_LN")
    put("dec_pos_embedding", 1, frames, width, scale=1.0)
    put("temporal_mask_token", 1, 1, width, scale=1.0)
    for dims in (2, 3):
        put(f"spatial_mask_token{dims}d", 1, 1, dims, scale=1.0)
        for i in range(2 if kind == "completion" else 1):
            block(f"decoder{dims}d.model.layers.{i}")
        layer_norm(f"decoder{dims}d.model.norm")
        head(f"fcn_dec{dims}d", dims * joints)
    return state


class Released:
    """What the released network computes without dropout, token first: (B, f, C).

    In training, batch norms take the mean and variance of the batch.
    """

    def __init__(self, state, training=False):
        self.state, self.training = {key: value.astype(np.float64) for key, value in state.items()}, training

    def linear(self, x, key):
        weight = self.state[f"{key}.weight"]
        weight = weight[:, :, 0] if weight.ndim == 3 else weight
        return np.einsum("...i,oi->...o", x, weight) + self.state[f"{key}.bias"]

    def batch_norm(self, x, key):
        mean, variance = self.state[f"{key}.running_mean"], self.state[f"{key}.running_var"]
        if self.training:
            mean, variance = x.mean(axis=(0, 1)), x.var(axis=(0, 1))
        return (x - mean) / np.sqrt(variance + 1e-5) * self.state[f"{key}.weight"] + self.state[f"{key}.bias"]

    def layer_norm(self, x, key):
        mean, deviation = x.mean(-1, keepdims=True), x.std(-1, ddof=1, keepdims=True)
        return self.state[f"{key}.a_2"] * (x - mean) / (deviation + EPSILON) + self.state[f"{key}.b_2"]

    def attend(self, x, key):
        batch, frames, width = x.shape
        q, k, v = (
            self.linear(x, f"{key}.linears.{i}").reshape(batch, frames, HEADS, width // HEADS).swapaxes(1, 2)
            for i in range(3)
        )
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(width // HEADS)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return self.linear((weights @ v).swapaxes(1, 2).reshape(batch, frames, width), f"{key}.linears.3")

    def block(self, x, key):
        x = x + self.attend(self.layer_norm(x, f"{key}.sublayer.0.norm"), f"{key}.self_attn")
        hidden = self.linear(self.layer_norm(x, f"{key}.sublayer.1.norm"), f"{key}.feed_forward.w_1")
        return x + self.linear(np.maximum(hidden, 0), f"{key}.feed_forward.w_2")

    def strided_block(self, x, key, stride):
        x = x + self.attend(self.layer_norm(x, f"{key}.sublayer.0.norm"), f"{key}.self_attn")
        hidden = self.linear(self.layer_norm(x, f"{key}.sublayer.1.norm"), f"{key}.feed_forward.w_1")
        hidden = np.pad(np.maximum(hidden, 0), ((0, 0), (1, 1), (0, 0)))
        weight, bias = self.state[f"{key}.feed_forward.w_2.weight"], self.state[f"{key}.feed_forward.w_2.bias"]
        steps = range(0, x.shape[1], stride)
        mixed = [np.einsum("bki,oik->bo", hidden[:, t : t + 3], weight) + bias for t in steps]
        return x[:, ::stride] + np.stack(mixed, axis=1)

    def blocks(self, x, stack):
        i = 0
        while f"{stack}.model.layers.{i}.sublayer.0.norm.a_2" in self.state:
            x = self.block(x, f"{stack}.model.layers.{i}")
            i += 1
        return x

    def head(self, x, key):
        return self.linear(self.batch_norm(x, f"{key}.0"), f"{key}.1")

    def embed(self, pose):
        """(B, f, J, D) -> (B, f, C), before the temporal layers."""
        key = f"encoder{pose.shape[-1]}d"
        x = pose.reshape(*pose.shape[:2], -1).astype(np.float64)
        x = leaky(self.batch_norm(self.linear(x, f"{key}.fc_1"), f"{key}.bn_1"))
        y = x
        for i in (1, 2):
            key = "shared_layers_spatial.layers.0"
            y = leaky(self.batch_norm(self.linear(y, f"{key}.w{i}"), f"{key}.batch_norm{i}"))
        x = self.linear(x + y, "shared_layers_spatial.fc_2")
        return x + self.state["shared_layers_temporal.pos_embedding"]

    def stage_2(self, pose):
        """(B, f, J, 2) -> the centre pose (B, 1, J, 3) and the sequence (B, f, J, 3)."""
        shape = pose.shape
        x = self.blocks(self.embed(pose), "shared_layers_temporal")
        sequence = self.head(x, "fcn_1").reshape(*shape[:3], 3)
        for i, stride in enumerate(STRIDES[shape[1]]):
            if i < 3:
                x = x + self.state[f"Transformer_reduce.model.pos_embedding_{i + 1}"][:, : x.shape[1]]
            x = self.strided_block(x, f"Transformer_reduce.model.layers.{i}", stride)
        return self.head(x, "fcn").reshape(shape[0], 1, shape[2], 3), sequence

    def stage_1(self, pose, joints_hidden, frames_hidden, dims):
        """(B, f, J, D) with masks (B, f, J) and (f,) -> (B, f, J, dims)."""
        pose = pose.astype(np.float64)
        pose[joints_hidden] = self.state[f"spatial_mask_token{pose.shape[-1]}d"][0, 0]
        x = self.embed(pose)[:, ~frames_hidden]
        x = self.layer_norm(self.blocks(x, "shared_layers_temporal"), "encoder_LN")
        full = np.broadcast_to(self.state["temporal_mask_token"], (*pose.shape[:2], x.shape[-1])).copy()
        full[:, ~frames_hidden] = x
        full = full + self.state["dec_pos_embedding"]
        return self.head(self.blocks(full, f"decoder{dims}d"), f"fcn_dec{dims}d").reshape(*pose.shape[:3], dims)

    def refine(self, x, x_1):
        both = np.concatenate([x, x_1], axis=-1).reshape(len(x), -1)
        weights = self.linear(np.maximum(self.linear(both, "post_refine.0"), 0), "post_refine.3")
        s = (1 / (1 + np.exp(-weights))).reshape(len(x), 1, -1, 2)
        return np.concatenate([s * x[..., :2] + (1 - s) * x_1[..., :2], x[..., 2:]], axis=-1)


def leaky(x):
    return np.where(x > 0, x, SLOPE * x)
