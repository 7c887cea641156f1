"""Five components for telling gulls apart by the numbers on their rings; importing this package registers them."""

from siamesekit_gulls import chebyshev, margin_ranking, nearest_negative, small_conv, strips

__all__ = ["chebyshev", "margin_ranking", "nearest_negative", "small_conv", "strips"]
