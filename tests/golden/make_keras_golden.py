"""Makes `keras_xception.npz`: what Keras computes with the weights and images of `drawing.py`.

Needs its own environment: `pip install tensorflow-cpu tf_keras`, then `python tests/golden/make_keras_golden.py`.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras
from drawing import STEPS, batches, images, weight

NETWORK = "backbone.network."


def load(layer: keras.layers.Layer, name: str) -> None:
    """Give a Keras layer the weights of a PyTorch module's name, in Keras's layouts."""
    kind = type(layer).__name__
    if kind == "BatchNormalization":
        size = layer.gamma.shape
        layer.set_weights([weight(f"{name}.{p}", size) for p in ("weight", "bias", "running_mean", "running_var")])
    elif kind == "SeparableConv2D":
        height, width, channels, _ = layer.depthwise_kernel.shape
        depthwise = weight(f"{name}.conv1.weight", (channels, 1, height, width))
        pointwise = weight(f"{name}.pointwise.weight", (layer.filters, channels, 1, 1))
        layer.set_weights([depthwise.transpose(2, 3, 0, 1), pointwise.transpose(2, 3, 1, 0)])
    elif kind == "Conv2D":
        height, width, channels, filters = layer.kernel.shape
        layer.set_weights([weight(f"{name}.weight", (filters, channels, height, width)).transpose(2, 3, 1, 0)])
    elif kind == "Dense":
        inputs, units = layer.kernel.shape
        layer.set_weights([weight(f"{name}.weight", (units, inputs)).T, weight(f"{name}.bias", (units,))])
    else:
        raise ValueError(f"{layer.name} is a {kind}")


def torch_name(layer: str) -> str:
    """`block5_sepconv2_bn` → `block4.rep.5`: the module of the PyTorch network that a named Keras layer is."""
    block, part, *rest = layer.split("_")
    number, index = int(block.removeprefix("block")), int(part[-1])
    is_norm = rest == ["bn"]
    if number == 1:
        return f"{'bn' if is_norm else 'conv'}{index}"
    if number == 14:
        return f"{'bn' if is_norm else 'conv'}{index + 2}"
    first = 0 if number == 2 else 1  # the first separable block does not start with a ReLU
    return f"block{number - 1}.rep.{first + 3 * (index - 1) + is_norm}"


def build() -> tuple[keras.Model, keras.Model]:
    """Xception and the whole encoder, with drawn weights, as the recipe freezes them."""
    xception = keras.applications.Xception(weights=None, include_top=False, input_shape=(128, 128, 3), pooling="avg")
    assert len(xception.layers) == 133
    unnamed = {
        "Conv2D": iter(("block1", "block2", "block3", "block12")),
        "BatchNormalization": iter(("block1", "block2", "block3", "block12")),
    }
    for layer in xception.layers:
        if not layer.weights:
            continue
        if layer.name.startswith("block"):
            load(layer, NETWORK + torch_name(layer.name))
        else:
            kind = type(layer).__name__
            load(layer, f"{NETWORK}{next(unnamed[kind])}.{'skip' if kind == 'Conv2D' else 'skipbn'}")
    for layer in xception.layers[:-27]:
        layer.trainable = False
    encoder = keras.Sequential(
        [
            xception,
            keras.layers.Flatten(),
            keras.layers.Dense(512, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Lambda(lambda x: tf.math.l2_normalize(x, axis=1)),
        ]
    )
    encoder.build((None, 128, 128, 3))
    for layer, name in zip(encoder.layers[2:5], ("dense1", "batchnorm1", "dense2"), strict=True):
        load(layer, f"head.{name}")
    return xception, encoder


def main() -> None:
    """Compute and store."""
    xception, encoder = build()
    scaled = (images().astype(np.float32) / 127.5 - 1).astype(np.float32)
    features = xception(scaled[:4]).numpy()
    optimizer = keras.optimizers.Adam(learning_rate=1e-3, epsilon=0.1)

    @tf.function
    def step(anchor: tf.Tensor, positive: tf.Tensor, negative: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            a, p, n = encoder(anchor), encoder(positive), encoder(negative)
            d_ap = tf.reduce_sum(tf.square(a - p), axis=-1)
            d_an = tf.reduce_sum(tf.square(a - n), axis=-1)
            loss = tf.maximum(d_ap - d_an + 1.0, 0.0)
        gradients = tape.gradient(loss, encoder.trainable_variables)
        optimizer.apply_gradients(zip(gradients, encoder.trainable_variables, strict=True))
        return loss, d_ap, d_an

    plan = batches()
    losses, first = [], None
    for number in range(STEPS):
        anchor, positive, negative = (tf.constant(scaled[index]) for index in plan[number % len(plan)].T)
        loss, d_ap, d_an = step(anchor, positive, negative)
        losses.append(float(tf.reduce_mean(loss)))
        first = first or (d_ap.numpy(), d_an.numpy())
        print(number + 1, losses[-1], flush=True)
    count = sum(int(np.prod(v.shape)) for v in encoder.trainable_variables)
    np.savez_compressed(
        Path(__file__).with_name("keras_xception.npz"),
        features=features,
        losses=np.array(losses),
        d_ap=first[0],
        d_an=first[1],
        final_embeddings=encoder(scaled[:4]).numpy(),
        trainable=count,
        parameters=encoder.count_params(),
        versions=np.array([f"tensorflow {tf.__version__}", f"tf_keras {keras.__version__}"]),
    )


if __name__ == "__main__":
    main()
