"""Light, colour and blur of photos against loops over pixels, and against scipy's Gaussian filter."""

import numpy as np
import torch
from scipy.ndimage import correlate1d

from siamesekit.components.augmentations.light import GREY, blur, relight


def test_colours_are_the_loop_s() -> None:
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (4, 3, 6, 6))
    factors = rng.uniform(0.5, 1.5, (3, 4))
    found = relight(torch.from_numpy(images), *map(torch.from_numpy, factors)).numpy()
    for image, brightness, contrast, saturation, result in zip(images, *factors, found, strict=True):
        values = image * brightness
        mean = sum(weight * values[channel].mean() for channel, weight in enumerate(GREY))
        values = mean + (values - mean) * contrast
        for row in range(6):
            for column in range(6):
                grey = sum(weight * values[channel, row, column] for channel, weight in enumerate(GREY))
                expected = [grey + (values[channel, row, column] - grey) * saturation for channel in range(3)]
                np.testing.assert_allclose(result[:, row, column], expected, rtol=1e-10)


def test_blur_is_a_gaussian_filter_of_each_image_with_its_own_width() -> None:
    images, sigma, reach = np.random.default_rng(1).uniform(0, 255, (3, 2, 12, 12)), (0.4, 1.0, 2.5), 5
    found = blur(torch.from_numpy(images), torch.tensor(sigma, dtype=torch.float64), reach).numpy()
    for image, width, result in zip(images, sigma, found, strict=True):
        kernel = np.array([np.exp(-(at**2) / (2 * width**2)) for at in range(-reach, reach + 1)])
        kernel /= kernel.sum()
        expected = correlate1d(correlate1d(image, kernel, axis=1, mode="nearest"), kernel, axis=2, mode="nearest")
        np.testing.assert_allclose(result, expected, rtol=1e-10)


def test_blur_keeps_an_even_image() -> None:
    images = torch.full((2, 3, 8, 8), 77.0)
    torch.testing.assert_close(blur(images, torch.tensor([0.5, 3.0]), 4), images)
