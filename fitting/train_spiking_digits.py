"""Teach a layer of spiking neurons to read digits, through surrogate derivatives of its spikes.

scikit-learn's 1,797 digits of 8 x 8 pixels. A pixel is one input spike, the brighter the earlier, and none if it is
black; 64 inputs drive a layer of LIF neurons with exponential synapses through a matrix of weights; a second matrix
reads ten classes from the number of spikes of each neuron in 30 ms. A quarter of the images is kept for the test.
Compared are a trained layer, one whose input weights stay as they were drawn, and two whose reset has the surrogate's
derivative too (`attach_reset`): with a peak of 1 per mV, and with an area of 1.

Example: python fitting/train_spiking_digits.py --seed 1 --out digits
"""

import argparse
import functools
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from sklearn.datasets import load_digits

from jaxneuro import FixedStep, Sampled, SuperSpike, SynapticLIF, simulate
from jaxneuro.plot import plot_raster

T1, DT = 30.0, 1.0  # ms
CELL = SynapticLIF(tau_s=5.0, tau_m=10.0)
COLUMNS = ("test_accuracy", "train_accuracy", "spikes_per_neuron", "seconds")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=100, help="neurons of the layer [1]")
    parser.add_argument("--epochs", type=int, default=15, help="how often every image is seen [1]")
    parser.add_argument("--beta", type=float, default=0.5, help="steepness of the surrogate [1/mV]")
    parser.add_argument("--seed", type=int, default=0, help="seed of split, weights and batches [1]")
    parser.add_argument("--out", type=Path, default=Path("spiking-digits"), help="output folder")
    parser.add_argument("--quick", action="store_true", help="smaller, shorter; fails below 70 %%")
    return parser.parse_args()


def encode(pixels: np.ndarray) -> np.ndarray:
    """Spike trains (n_image, n_time, 64) of brightnesses 0 to 16 (n_image, 64): 16 fires at 1 ms, 1 at 20 ms."""
    image, pixel = np.nonzero(pixels)
    latency = 1.0 + 20.0 * (1 - pixels[image, pixel] / 16)
    trains = np.zeros((len(pixels), round(T1 / DT) + 1, pixels.shape[1]), np.float32)
    trains[image, np.round(latency / DT).astype(int), pixel] = 1.0
    return trains


def draw_weights(n: int, key: jax.Array) -> dict[str, jax.Array]:
    """`hidden` [nA], the current of an input spike; `readout` and `bias` [1]."""
    key_hidden, key_readout = jax.random.split(key)
    hidden = 0.1 + 0.6 * jax.random.normal(key_hidden, (64, n))
    return {"hidden": hidden, "readout": 0.1 * jax.random.normal(key_readout, (n, 10)), "bias": jnp.zeros(10)}


def layer(weights: dict[str, jax.Array], trains: jax.Array, solver: FixedStep) -> jax.Array:
    """Spike trains (n_image, n_time, n_neuron) of the layer."""

    def neuron(i_app: jax.Array) -> jax.Array:
        return simulate(CELL, Sampled(i_app, DT), t1=T1, solver=solver).spike_train

    return jax.vmap(jax.vmap(neuron, in_axes=1, out_axes=1))(trains @ weights["hidden"])


def loss(weights: dict[str, jax.Array], trains: jax.Array, digits: jax.Array, solver: FixedStep) -> tuple:
    """Cross-entropy, accuracy and spikes per neuron and image."""
    counts = jnp.sum(layer(weights, trains, solver), axis=1)
    logits = counts @ weights["readout"] + weights["bias"]
    entropy = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, digits))
    return entropy, (jnp.mean(jnp.argmax(logits, axis=1) == digits), jnp.mean(counts))


def train(data: dict, solver: FixedStep, options: argparse.Namespace, *, is_frozen: bool = False) -> dict:
    """Train with Adam on batches of 64 images."""
    began = time.perf_counter()
    weights = draw_weights(options.neurons, jax.random.key(options.seed))
    optimizer = optax.adam(1e-2)
    state = optimizer.init(weights)
    evaluate = jax.jit(functools.partial(loss, solver=solver))

    @jax.jit
    def step(weights: Any, state: Any, trains: jax.Array, digits: jax.Array) -> tuple[Any, Any]:
        gradient, _ = jax.grad(loss, has_aux=True)(weights, trains, digits, solver)
        if is_frozen:
            gradient["hidden"] = jnp.zeros_like(gradient["hidden"])
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(weights, updates), state

    rng, curve = np.random.default_rng(options.seed), []
    trains, digits = data["train"]
    for _ in range(options.epochs):
        curve.append(float(evaluate(weights, *data["test"])[1][0]))
        order = rng.permutation(len(digits))
        for batch in np.split(order[: len(digits) // 64 * 64], len(digits) // 64):
            weights, state = step(weights, state, trains[batch], digits[batch])
    (_, (accuracy, spikes)), (_, (on_train, _)) = (evaluate(weights, *data[part]) for part in ("test", "train"))
    values = (float(accuracy), float(on_train), float(spikes), time.perf_counter() - began)
    return dict(zip(COLUMNS, values, strict=True)) | {"curve": [*curve, float(accuracy)], "weights": weights}


def draw(runs: dict[str, dict], fired: np.ndarray, path: Path) -> None:
    """Test accuracy over the epochs, and what the trained layer fires at one image (n_time, n_neuron)."""
    plt.rc("axes.spines", top=False, right=False)
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.4), layout="constrained")
    for (name, run), color in zip(runs.items(), ("#000000", "#7f7f7f", "#D55E00", "#0072B2"), strict=False):
        left.plot(100 * np.array(run["curve"]), "o-", ms=3, color=color, label=name)
    left.set(xlabel="Epochs", ylabel="Test accuracy (%)", ylim=(0, 100))
    left.xaxis.get_major_locator().set_params(integer=True)
    left.legend(frameon=False, loc="lower right")
    plot_raster([DT * np.flatnonzero(column) for column in fired.T], row="Neuron", axes=right).set_xlim(0, T1)
    figure.savefig(path, dpi=150)


def main() -> None:
    options = parse()
    if options.quick:
        options.neurons, options.epochs = 64, 4
    pixels, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(options.seed).permutation(len(digits))
    parts = zip(("train", "test"), np.split(order, [3 * len(order) // 4]), strict=True)
    data = {name: (encode(pixels[part]), digits[part]) for name, part in parts}

    peak, area = (SuperSpike(beta=options.beta, normalize=normalize) for normalize in ("peak", "area"))
    solvers = {name: FixedStep(DT, surrogate=peak) for name in ("trained", "frozen")}
    if not options.quick:
        solvers["reset attached"] = FixedStep(DT, surrogate=peak, attach_reset=True)
        solvers["attached, area 1"] = FixedStep(DT, surrogate=area, attach_reset=True)
    runs = {}
    print(f"{'':16} test [%]  train [%]  spikes per neuron and image  time [s]")
    for name, solver in solvers.items():
        runs[name] = run = train(data, solver, options, is_frozen=name == "frozen")
        accuracy, train_accuracy, spikes, seconds = (run[column] for column in COLUMNS)
        print(f"{name:16} {100 * accuracy:8.1f}  {100 * train_accuracy:9.1f}  {spikes:27.2f}  {seconds:8.1f}")
    options.out.mkdir(parents=True, exist_ok=True)
    kept = {name: {key: run[key] for key in (*COLUMNS, "curve")} for name, run in runs.items()}
    (options.out / "fit.json").write_text(json.dumps(kept, indent=2))
    fired = layer(runs["trained"]["weights"], data["test"][0][:1], solvers["trained"])[0]
    draw(runs, np.asarray(fired), options.out / "fit.png")
    print(f"results in {options.out}/")
    if options.quick and runs["trained"]["test_accuracy"] < 0.7:
        raise SystemExit("the layer has not learned: less than 70 % of the test images are read correctly")


if __name__ == "__main__":
    main()
