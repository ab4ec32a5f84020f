import numpy as np
import pytest

from mpm_keras.data.shuffle import coin, feistel, fold_key, half_bits, mix, permute, permuted_range

pytestmark = pytest.mark.numpy_only


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 16, 17, 100, 1000, 4097, 65536])
def test_permute_is_a_bijection(n):
    for key in (0, 1, fold_key(3, 4)):
        np.testing.assert_array_equal(np.sort(permute(np.arange(n), n, key)), np.arange(n))


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_feistel_is_a_bijection(bits):
    x = np.arange(4**bits, dtype=np.int64)
    np.testing.assert_array_equal(np.sort(feistel(x, bits, 12345)), x)


def test_half_bits_cover_n_within_a_factor_of_four():
    for n in range(1, 3000):
        assert n <= 4 ** half_bits(n) <= max(4, 4 * n)


def test_any_part_is_reached_directly():
    n, key = 20_000_003, fold_key(0, 7)
    middle = np.arange(n // 2, n // 2 + 64)
    found = permute(middle, n, key)
    assert ((found >= 0) & (found < n)).all() and len(set(found)) == 64
    np.testing.assert_array_equal(found, np.array([permute(np.array([i]), n, key)[0] for i in middle]))


@pytest.mark.parametrize(
    "n, start, stop", [(10, 0, 10), (50_000, 4090, 4100), (50_000, 8192, 8192 + 64), (9000, 0, 9000)]
)
def test_a_range_is_the_same_part_of_the_order(n, start, stop):
    for key in (fold_key(0, 1), fold_key(0, 2)):
        np.testing.assert_array_equal(permuted_range(start, stop, n, key), permute(np.arange(start, stop), n, key))


def test_orders_look_random_and_differ_by_key():
    n = 10_000
    one, two = (permute(np.arange(n), n, fold_key(0, epoch)) for epoch in (0, 1))
    assert (one == two).sum() < 10  # two random orders agree in one place on average
    for order in (one, two):
        assert abs(np.corrcoef(order, np.arange(n))[0, 1]) < 0.05
        assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.05


def test_hash_equals_murmur3s_finaliser():
    def reference(x):
        x ^= x >> 16
        x = x * 0x85EBCA6B & 0xFFFFFFFF
        x ^= x >> 13
        x = x * 0xC2B2AE35 & 0xFFFFFFFF
        return x ^ x >> 16

    x = np.array([0, 1, 2, 12345, 2**31, 2**32 - 1], np.int64)
    np.testing.assert_array_equal(mix(x, 77), [reference((int(i) + 77) & 0xFFFFFFFF) for i in x])


def test_keys_tell_their_parts_and_order_apart():
    keys = {
        fold_key(*parts) for parts in [(), (0,), (1,), (0, 0), (0, 1), (1, 0), (1, 1), (0, 1, 0), (2**40,), (7, -1)]
    }
    assert len(keys) >= 9  # 2**40 keeps its low 32 bits alone, as 0 does
    assert all(0 <= key < 2**32 for key in keys)


def test_coin_is_fair():
    x = np.arange(10_000, dtype=np.int64)
    heads = coin(x, fold_key(5))
    assert set(heads) == {0, 1} and abs(heads.mean() - 0.5) < 0.02
    assert 0.4 < (heads != coin(x, fold_key(6))).mean() < 0.6
