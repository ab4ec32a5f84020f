"""The yardstick: the same networks in plain PyTorch, as the repositories of the field write and train them.

Eager modules, convolutions of kernel 1 over channel-first frames, an attention of its own by two matrix
products and a softmax, a dataset that cuts, pads and flips one window at a time, and an ordinary loop:
`zero_grad`, `backward`, `step`, the loss read as a number. Written for this comparison from the papers' description,
with the library's own fused operations (`LayerNorm`, `Dropout`, foreach AdamW): what a careful author would
write, not more. Imports PyTorch and NumPy alone.
"""

import numpy as np
import torch
from torch import nn

STRIDES = {9: (1, 3, 3), 27: (3, 3, 3), 81: (3,) * 4, 243: (3,) * 5, 351: (3, 9, 13), 729: (3,) * 6}
SLOPE = 0.2


class Attention(nn.Module):
    """Multi-head self-attention: one Linear each for query, key, value and output."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        batch, frames, width = x.shape

        def split(y):
            return y.view(batch, frames, self.heads, width // self.heads).transpose(1, 2)

        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        scores = torch.matmul(q, k.transpose(-2, -1)) / (width // self.heads) ** 0.5
        x = torch.matmul(self.drop(torch.softmax(scores, dim=-1)), v)
        return self.output(x.transpose(1, 2).reshape(batch, frames, width))


class FeedForward(nn.Module):
    def __init__(self, width, hidden, dropout):
        super().__init__()
        self.expand, self.contract, self.drop = nn.Linear(width, hidden), nn.Linear(hidden, width), nn.Dropout(dropout)

    def forward(self, x):
        return self.contract(self.drop(torch.relu(self.expand(x))))


class StridedFeedForward(nn.Module):
    """The convolution of kernel 3 that shrinks the sequence."""

    def __init__(self, width, hidden, stride, dropout):
        super().__init__()
        self.expand, self.drop = nn.Conv1d(width, hidden, 1), nn.Dropout(dropout)
        self.contract = nn.Conv1d(hidden, width, 3, stride=stride, padding=1)

    def forward(self, x):
        x = self.drop(torch.relu(self.expand(x.permute(0, 2, 1))))
        return self.contract(x).permute(0, 2, 1)


class Block(nn.Module):
    """Pre-norm transformer layer; with a stride the residual is every stride-th frame."""

    def __init__(self, width=256, heads=8, hidden=512, dropout=0.1, stride=None):
        super().__init__()
        self.stride = stride or 1
        self.norm_1, self.norm_2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads, dropout)
        if stride is None:
            self.feed_forward = FeedForward(width, hidden, dropout)
        else:
            self.feed_forward = StridedFeedForward(width, hidden, stride, dropout)
        self.drop_1, self.drop_2 = nn.Dropout(dropout), nn.Dropout(dropout)

    def forward(self, x):
        x = x + self.drop_1(self.attention(self.norm_1(x)))
        return x[:, :: self.stride] + self.drop_2(self.feed_forward(self.norm_2(x)))


class Embed(nn.Sequential):
    """Convolution of kernel 1, batch norm, LeakyReLU, dropout, on (B, C, F)."""

    def __init__(self, inputs, outputs, dropout):
        super().__init__(
            nn.Conv1d(inputs, outputs, 1), nn.BatchNorm1d(outputs), nn.LeakyReLU(SLOPE), nn.Dropout(dropout)
        )


class Spatial(nn.Module):
    """The shared spatial MLP on (B, C, F)."""

    def __init__(self, channels, width, dropout):
        super().__init__()
        self.block_1, self.block_2 = Embed(channels, channels, dropout), Embed(channels, channels, dropout)
        self.project = nn.Conv1d(channels, width, 1)

    def forward(self, x):
        return self.project(x + self.block_2(self.block_1(x)))


class Head(nn.Sequential):
    """Batch norm and convolution of kernel 1 to coordinates."""

    def __init__(self, width, outputs):
        super().__init__(nn.BatchNorm1d(width), nn.Conv1d(width, outputs, 1))


def channels_first(pose):
    """(B, F, J, D) -> (B, J * D, F)."""
    return pose.flatten(2).permute(0, 2, 1).contiguous()


def poses(x, dims):
    """(B, J * D, F) -> (B, F, J, D)."""
    return x.permute(0, 2, 1).reshape(x.shape[0], x.shape[2], -1, dims)


def positions(frames, width):
    return nn.Parameter(0.02 * torch.randn(1, frames, width))


class Lifter(nn.Module):
    """Stage II: (B, F, J, 2) -> the centre pose (B, 1, J, 3) and the sequence (B, F, J, 3)."""

    def __init__(self, frames=27, joints=17, layers=4, width=256, channels=512, dropout=0.1, encoder_dropout=0.2):
        super().__init__()
        self.encoder, self.spatial = (
            Embed(2 * joints, channels, encoder_dropout),
            Spatial(channels, width, encoder_dropout),
        )
        self.positions = positions(frames, width)
        self.layers = nn.ModuleList(Block(width, dropout=dropout) for _ in range(layers))
        self.strided = nn.ModuleList(Block(width, dropout=dropout, stride=s) for s in STRIDES[frames])
        lengths = [frames // int(np.prod(STRIDES[frames][:i])) for i in range(3)]
        self.strided_positions = nn.ParameterList(positions(length, width) for length in lengths)
        self.center, self.sequence = Head(width, 3 * joints), Head(width, 3 * joints)
        self.joint_token = nn.Parameter(torch.randn(2))  # for hidden joints

    def forward(self, pose, hidden=None):
        if hidden is not None:
            pose = torch.where(hidden[..., None], self.joint_token, pose)
        x = self.spatial(self.encoder(channels_first(pose))).permute(0, 2, 1) + self.positions
        for layer in self.layers:
            x = layer(x)
        sequence = poses(self.sequence(x.permute(0, 2, 1)), 3)
        for i, layer in enumerate(self.strided):
            x = layer(x + self.strided_positions[i] if i < len(self.strided_positions) else x)
        return poses(self.center(x.permute(0, 2, 1)), 3), sequence


class Pretrainer(nn.Module):
    """Stage I: masked poses of one modality -> the whole sequence. Masks are shared by the batch."""

    def __init__(self, frames=27, joints=17, layers=4, width=256, channels=512, dropout=0.1):
        super().__init__()
        dims = {"2d": 2, "3d": 3}
        self.encoders = nn.ModuleDict({m: Embed(d * joints, channels, dropout) for m, d in dims.items()})
        self.joint_tokens = nn.ParameterDict({m: nn.Parameter(torch.randn(d)) for m, d in dims.items()})
        self.spatial, self.positions = Spatial(channels, width, dropout), positions(frames, width)
        self.layers = nn.ModuleList(Block(width, dropout=dropout) for _ in range(layers))
        self.norm, self.frame_token = nn.LayerNorm(width, eps=1e-6), nn.Parameter(torch.randn(width))
        self.decoder_positions = positions(frames, width)
        self.decoders = nn.ModuleDict({m: Block(width, dropout=dropout) for m in dims})
        self.heads = nn.ModuleDict({m: Head(width, d * joints) for m, d in dims.items()})

    def forward(self, pose, joints_hidden, frames_hidden, modality):
        """(B, F, J, D), (F, J) and (F,) bool -> (B, F, J, D)."""
        pose = pose.clone()
        pose[:, joints_hidden] = self.joint_tokens[modality].to(pose.dtype)
        x = self.spatial(self.encoders[modality](channels_first(pose))).permute(0, 2, 1) + self.positions
        x = x[:, ~frames_hidden]
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x)
        full = self.frame_token.to(x.dtype).expand(x.shape[0], len(frames_hidden), -1).clone()
        full[:, ~frames_hidden] = x
        x = self.decoders[modality](full + self.decoder_positions)
        return poses(self.heads[modality](x.permute(0, 2, 1)), pose.shape[-1])


def draw_mask(frames, joints, hidden_joints=5, ratio=0.6):
    """One mask for a batch, by NumPy: (F, J) and (F,) bool."""
    joints_hidden = np.zeros((frames, joints), bool)
    for row in joints_hidden:
        row[np.random.choice(joints, hidden_joints, replace=False)] = True
    frames_hidden = np.zeros(frames, bool)
    frames_hidden[np.random.choice(frames, int(ratio * frames), replace=False)] = True
    return torch.from_numpy(joints_hidden), torch.from_numpy(frames_hidden)


def distance(predicted, target):
    """Mean distance of the joints."""
    return torch.mean(torch.norm(predicted - target, dim=-1))


class Windows(torch.utils.data.Dataset):
    """One window at a time: cut out of its clip, padded at the edges, flipped every other time.

    Args:
        clips: list of (2D (N, J, 2), 3D (N, J, 3)) NumPy arrays.
        frames, stride: of a window.
        left, right: joints that change places in the flip.
    """

    def __init__(self, clips, frames, stride=1, left=(4, 5, 6, 11, 12, 13), right=(1, 2, 3, 14, 15, 16)):
        self.clips, self.frames, self.stride = clips, frames, stride
        self.left, self.right = list(left), list(right)
        self.pairs = [(c, i, flip) for c, (p, _) in enumerate(clips) for i in range(len(p)) for flip in (False, True)]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        clip, centre, flip = self.pairs[index]
        return tuple(self.cut(pose, centre, flip) for pose in self.clips[clip])

    def cut(self, pose, centre, flip):
        start = centre - self.frames // 2 * self.stride
        stop = start + (self.frames - 1) * self.stride + 1
        low, high = max(start, 0), min(stop, len(pose))
        window = pose[low:high]
        if low > start or high < stop:
            window = np.pad(window, ((low - start, stop - high), (0, 0), (0, 0)), "edge")
        window = window[:: self.stride].copy()
        if flip:
            window[..., 0] *= -1
            window[:, self.left + self.right] = window[:, self.right + self.left]
        return torch.from_numpy(window)


class Training:
    """The ordinary loop: one call of `step` per batch.

    Args:
        network: `Lifter` or `Pretrainer`.
        device: "cpu" or "cuda".
        bfloat16: run the network under `torch.autocast`.
        compiled: through `torch.compile`.
    """

    def __init__(self, network, device="cpu", bfloat16=False, compiled=False, learning_rate=1e-4):
        self.module = network.to(device)
        self.network = torch.compile(self.module) if compiled else self.module
        self.device, self.bfloat16 = device, bfloat16
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.01)
        self.network.train()

    def step(self, batch):
        """One batch (2D, 3D). Returns the loss, a number."""
        pose_2d, pose_3d = (pose.to(self.device, non_blocking=True) for pose in batch)
        if isinstance(self.module, Lifter):
            return self.update(lambda: self.lift_loss(pose_2d, pose_3d))
        return self.update(lambda: 2.0 * self.masked_loss(pose_2d, "2d")) + self.update(
            lambda: 3.0 * self.masked_loss(pose_3d, "3d")
        )

    def update(self, loss_of):
        self.optimizer.zero_grad()
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bfloat16):
            loss = loss_of()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def lift_loss(self, pose_2d, pose_3d):
        center, sequence = self.network(pose_2d)
        middle = pose_3d.shape[1] // 2
        return distance(center, pose_3d[:, middle : middle + 1]) + distance(sequence, pose_3d)

    def masked_loss(self, pose, modality):
        masks = (mask.to(self.device) for mask in draw_mask(*pose.shape[1:3]))
        return distance(self.network(pose, *masks, modality), pose)
