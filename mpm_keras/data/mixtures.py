"""How much each source of a training run counts: by given weights, or by the paper's Table E."""

from mpm_keras.errors import InputError

# Dataset -> the share of its training windows. Only the table's sums are printed in full; its columns
# follow from them: with every window counted in 2D and in 3D, as it is and mirrored, Human3.6M has
# 6.24 M samples and MPI-INF-3DHP (8 cameras) 4.21 M, of which a half and a quarter make the 4.17 M of
# Small, and all and a half the 8.34 M of Base.
MIXTURES = {
    "small": {"h36m": 0.5, "3dhp": 0.25},
    "base": {"h36m": 1.0, "3dhp": 0.5},
    "large": {"h36m": 1.0, "3dhp": 1.0, "amass": 1.0},
}
_LOWEST, _HIGHEST = 0.001, 1000


def weights_of(paths, datasets, weights=(), mixture="") -> list[float]:
    """How many times as often as by default the windows of each source are drawn in training.

    Args:
        paths: the sources, for messages.
        datasets: the dataset that each of them is, such as "h36m".
        weights: one per source, or none for 1.
        mixture: a name of `MIXTURES`, in place of weights.

    Raises:
        InputError: another number of weights than of sources, a weight out of range, both weights and
            a mixture, or sources that are not the datasets of the mixture.
    """
    if mixture:
        return _shares(paths, datasets, weights, mixture)
    weights = list(weights) or [1.0] * len(paths)
    if len(weights) != len(paths):
        raise InputError(f"--data_weights: expected one for each of {len(paths)} sources, found {len(weights)}")
    if bad := [weight for weight in weights if not _LOWEST <= weight <= _HIGHEST]:
        raise InputError(f"--data_weights: expected numbers from {_LOWEST} to {_HIGHEST}, found {bad[0]}")
    return weights


def _shares(paths, datasets, weights, mixture) -> list[float]:
    if weights:
        raise InputError("--mixture says how much each dataset counts; leave --data_weights out")
    if mixture not in MIXTURES:
        raise InputError(f"--mixture={mixture}: expected {', '.join(MIXTURES)}")
    shares = MIXTURES[mixture]
    for path, dataset in zip(paths, datasets, strict=True):
        if dataset not in shares:
            raise InputError(
                f"{path}: {dataset or 'no known dataset'} has no part in --mixture={mixture}; it takes the archives "
                f"that prepare_data.py makes of {', '.join(shares)}"
            )
    if missing := [dataset for dataset in shares if dataset not in datasets]:
        raise InputError(f"--mixture={mixture} needs an archive of {missing[0]} in --data too")
    return [shares[dataset] for dataset in datasets]
