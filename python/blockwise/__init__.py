"""blockwise from Python: pretraining, networks and data sets of the C library, with numpy arrays in and out.

    import blockwise

    blockwise.pretrain("photos", "run", recipe="cifar10", config={"train.epochs": 20},
                       on_step=lambda step: print(step["step"], step["loss"]))
    network = blockwise.Network("run")
    features, index = network.embed(blockwise.Dataset("photos"))

A thin layer over libblockwise.so by ctypes; what a call does is written in include/blockwise/. The library is the one
that BLOCKWISE_LIBRARY names, else the one of this installation or source tree, else the system's. Calls release the
interpreter's lock; callbacks take it."""
import ctypes as C
import ctypes.util
import faulthandler
import json
import os
import re
import signal
import sys
import threading
from pathlib import Path

import numpy as np

__all__ = ["Dataset", "Error", "Network", "pretrain", "set_log", "version"]

_MAX_BLOCKS, _MAX_TERMS = 64, 16  # BW_MAX_BLOCKS, BW_MAX_TERMS


class Error(Exception):
    """What a call of the library failed with: its message, and in `status` the name, such as "EDATA"."""

    _NAMES = {-1: "ENOMEM", -2: "EINVAL", -3: "ESHAPE", -4: "EIO", -5: "EDATA", -6: "ENONFINITE", -7: "EKERNEL",
              -8: "EREMOTE", -9: "EINTERRUPTED", -10: "EEXIST", -11: "ENOSPLIT"}

    def __init__(self, status, message):
        super().__init__(message)
        self.status = self._NAMES.get(status, str(status))


def _load():
    here = Path(__file__).resolve()
    if os.environ.get("BLOCKWISE_LIBRARY"):
        return C.CDLL(os.environ["BLOCKWISE_LIBRARY"])
    built = [here.parents[2] / "build" / "libblockwise.so"]
    lib = here.parents[3]  # lib/python3/dist-packages/blockwise/__init__.py
    for path in built + sorted(lib.glob("libblockwise.so.*")) + sorted(lib.glob("*/libblockwise.so.*")):
        if path.exists():
            return C.CDLL(str(path))
    return C.CDLL(ctypes.util.find_library("blockwise") or "libblockwise.so.0.1")


# --- the C interface, as far as it is used; names and fields as in include/blockwise/ ---

class _Config(C.Structure):
    """bw_config, whose fields nobody here looks at: larger than it is, since the library writes its own size."""
    _fields_ = [("bytes", C.c_double * (1 << 16))]


class _Image(C.Structure):
    _fields_ = [("rgb", C.POINTER(C.c_uint8)), ("height", C.c_int64), ("width", C.c_int64), ("capacity", C.c_size_t)]


_Reals = C.c_double * _MAX_BLOCKS


class _Step(C.Structure):
    _fields_ = [("step", C.c_int64), ("epoch", C.c_int64), ("blocks", C.c_int), ("lr", C.c_double), ("loss", _Reals),
                ("terms", C.c_int), ("term_name", C.c_char_p * _MAX_TERMS), ("term", _Reals * _MAX_TERMS),
                ("grad_norm", _Reals), ("has_health", C.c_bool), ("embedding_std", _Reals),
                ("effective_rank", _Reals), ("effective_rank_max", _Reals), ("dead_channels", _Reals),
                ("has_probe", C.c_bool), ("has_probe_test", C.c_bool), ("probe_top1_train", _Reals),
                ("probe_top1", _Reals), ("samples_per_s", C.c_double), ("peak_rss_mb", C.c_double)]


_ON_START = C.CFUNCTYPE(None, C.c_void_p, C.c_int64, C.c_int64, C.c_int64)
_ON_STEP = C.CFUNCTYPE(None, C.c_void_p, C.POINTER(_Step))
_REQUEST = C.CFUNCTYPE(C.c_int, C.c_void_p)
_LOG = C.CFUNCTYPE(None, C.c_void_p, C.c_int, C.c_char_p)
_STOP = 2  # BW_SAVE_AND_STOP


class _PretrainOptions(C.Structure):
    _fields_ = [("comm", C.c_void_p), ("config", C.POINTER(_Config)), ("data", C.c_char_p), ("format", C.c_char_p),
                ("out", C.c_char_p), ("resume", C.c_bool), ("init", C.c_char_p), ("command", C.c_char_p),
                ("user", C.c_void_p), ("on_start", _ON_START), ("on_step", _ON_STEP), ("request", _REQUEST),
                ("dataset", C.c_void_p), ("test", C.c_void_p), ("later", C.c_void_p * 16)]  # NULL for what a newer one has


_lib = _load()
_P, _I = C.c_void_p, C.c_int64
for _name, _result, *_arguments in [
        ("bw_version", C.c_char_p), ("bw_last_error", C.c_char_p), ("bw_status_text", C.c_char_p, C.c_int),
        ("bw_set_log", None, _LOG, _P), ("bw_free", None, _P),
        ("bw_config_default", _Config), ("bw_config_load_recipe", C.c_int, C.POINTER(_Config), C.c_char_p),
        ("bw_config_set", C.c_int, C.POINTER(_Config), C.c_char_p), ("bw_config_to_yaml", C.c_int, _P, _P),
        ("bw_dataset_open", C.c_int, _P, C.c_char_p, C.c_int, C.c_char_p), ("bw_dataset_free", None, _P),
        ("bw_dataset_size", _I, _P), ("bw_dataset_format", C.c_char_p, _P), ("bw_dataset_classes", C.c_int, _P),
        ("bw_dataset_class_name", C.c_char_p, _P, C.c_int), ("bw_dataset_label", C.c_int, _P, _I),
        ("bw_dataset_name", None, _P, _I, C.c_char_p, C.c_size_t),
        ("bw_dataset_read", C.c_int, _P, _I, C.POINTER(_Image)), ("bw_image_clear", None, C.POINTER(_Image)),
        ("bw_network_load", C.c_int, _P, C.c_char_p), ("bw_network_free", None, _P), ("bw_network_config", _P, _P),
        ("bw_network_blocks", C.c_int, _P), ("bw_network_has_heads", C.c_bool, _P),
        ("bw_network_feature_dim", _I, _P, C.c_int, C.c_int),
        ("bw_extractor_create", C.c_int, _P, _P, _I, _I), ("bw_extractor_free", None, _P),
        ("bw_extractor_run", C.c_int, _P, _P, _P, _P, _I),
        ("bw_embed", C.c_int, _P, _P, _P, _P, _P, C.c_int, C.c_int, C.c_int, _P, _P),
        ("bw_pretrain", C.c_int, C.POINTER(_PretrainOptions))]:
    _function = getattr(_lib, _name)
    _function.restype, _function.argtypes = _result, _arguments


def _check(status):
    if status != 0:
        message = _lib.bw_last_error() or _lib.bw_status_text(status)
        raise Error(status, message.decode(errors="replace"))


def _bytes(text):
    return None if text is None else os.fsencode(text)


def _number_of(what, word, words):
    if word not in words:
        raise ValueError(f"{what} is one of {', '.join(words)}, not {word!r}")
    return words.index(word)


def version():
    return _lib.bw_version().decode()


if not version().startswith("0.1."):
    raise ImportError(f"this module is for libblockwise 0.1, and {_lib._name} is {version()}")
_log = _LOG()  # kept: the library holds it


def set_log(receiver):
    """receiver(level, line) gets every line the library has to say, level 0 to 2 for debug, info, warning; None: none."""
    global _log
    new = _LOG(lambda _, level, line: receiver(level, line.decode(errors="replace"))) if receiver else _LOG()
    _lib.bw_set_log(new, None)  # returns when no thread is in the old one, which lives until then
    _log = new


class _Handle:
    _free = None

    def __init__(self):
        self._as_parameter_ = C.c_void_p()

    def __del__(self):
        if self._free is not None and getattr(self, "_as_parameter_", None):
            self._free(self._as_parameter_)


class Dataset(_Handle):
    """Images at a path, found out by looking. split: "train", "test", or "any" (the test split if there is one)."""

    def __init__(self, path, split="any", format=None):
        super().__init__()
        self._free = _lib.bw_dataset_free
        split = _number_of("split", split, ("train", "test", "any"))
        _check(_lib.bw_dataset_open(C.byref(self._as_parameter_), os.fsencode(path), split, _bytes(format)))
        self.format = _lib.bw_dataset_format(self).decode()
        self.classes = [_lib.bw_dataset_class_name(self, i).decode(errors="replace")
                        for i in range(_lib.bw_dataset_classes(self))]

    def __len__(self):
        return _lib.bw_dataset_size(self)

    def __getitem__(self, index):
        """The image as uint8 [height, width, 3], RGB."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        image = _Image()
        try:
            _check(_lib.bw_dataset_read(self, index, C.byref(image)))
            return np.ctypeslib.as_array(image.rgb, (image.height, image.width, 3)).copy()
        finally:
            _lib.bw_image_clear(C.byref(image))

    def name(self, index):
        text = C.create_string_buffer(4096)
        _lib.bw_dataset_name(self, index, text, len(text))
        return os.fsdecode(text.value)

    @property
    def labels(self):
        """int32 [n]: classes from 0, or -1."""
        return np.fromiter((_lib.bw_dataset_label(self, i) for i in range(len(self))), np.int32, len(self))


class Network(_Handle):
    """A run folder, or a file of weights. `blocks`; `has_heads`; `config`: its settings as YAML."""

    def __init__(self, path):
        super().__init__()
        self._free = _lib.bw_network_free
        _check(_lib.bw_network_load(C.byref(self._as_parameter_), os.fsencode(path)))
        self.blocks = _lib.bw_network_blocks(self)
        self.has_heads = _lib.bw_network_has_heads(self)
        text = C.c_char_p()
        _check(_lib.bw_config_to_yaml(C.byref(text), _lib.bw_network_config(self)))
        self.config = text.value.decode()
        _lib.bw_free(C.cast(text, C.c_void_p))

    def _feature(self, feature):
        return _number_of("feature", feature or ("head" if self.has_heads else "trunk"), ("head", "trunk"))

    def _block(self, block):
        if not -self.blocks <= block < self.blocks:
            raise IndexError(f"block {block} of {self.blocks}")
        return block % self.blocks

    def feature_dim(self, block=-1, feature=None):
        return _lib.bw_network_feature_dim(self, self._block(block), self._feature(feature))

    def embed(self, dataset, block=-1, feature=None, threads=0):
        """Features of every image of a Dataset, or of that at a path, by the evaluation transform: f32 [rows,
        feature_dim], and int64 [rows], the number of the image each row is of (an unreadable one has none). block from
        0, or from the end; feature "head" or "trunk"; threads 0: all usable cores."""
        if not isinstance(dataset, Dataset):  # ctypes takes texts and numbers for addresses
            dataset = Dataset(dataset)
        features, index, rows = C.POINTER(C.c_float)(), C.POINTER(C.c_int64)(), C.c_int64()
        _check(_lib.bw_embed(C.byref(features), C.byref(index), C.byref(rows), self, dataset, self._block(block),
                             self._feature(feature), threads, None, None))
        try:
            shape = (rows.value, self.feature_dim(block, feature))
            return np.ctypeslib.as_array(features, shape).copy(), np.ctypeslib.as_array(index, shape[:1]).copy()
        finally:
            _lib.bw_free(features)
            _lib.bw_free(index)

    def extract(self, images, feature=None):
        """Features of every block, a list of f32 [n, feature_dim], of images [n, S, S, 3], RGB: uint8, or floats in
        [0, 1]; normalised here by the network's mean and std."""
        images = np.asarray(images)
        if images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[3] != 3 or len(images) == 0:
            raise ValueError(f"images are [n, S, S, 3], not {list(images.shape)}")
        if images.dtype == np.uint8:
            images = images.astype(np.float32) / 255
        mean, std = (np.array(json.loads(re.search(rf"^\s*{key}: (\[.*\])", self.config, re.M)[1]), np.float32)
                     for key in ("mean", "std"))
        images = np.ascontiguousarray((images.astype(np.float32) - mean) / std)
        out = [np.empty((len(images), self.feature_dim(k, feature)), np.float32) for k in range(self.blocks)]
        pointers = (C.c_void_p * self.blocks)(*(o.ctypes.data for o in out))
        wanted = [None, None]
        wanted[self._feature(feature)] = pointers
        extractor = C.c_void_p()
        _check(_lib.bw_extractor_create(C.byref(extractor), self, len(images), images.shape[1]))
        try:
            _check(_lib.bw_extractor_run(extractor, *wanted, images.ctypes.data, len(images)))
        finally:
            _lib.bw_extractor_free(extractor)
        return out


def _assignments(config, prefix=""):
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _assignments(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={value if isinstance(value, str) else json.dumps(value)}"


def _step(s):
    names = ["loss", "grad_norm"]
    names += ["embedding_std", "effective_rank", "effective_rank_max", "dead_channels"] if s.has_health else []
    names += ["probe_top1_train"] if s.has_probe else []
    names += ["probe_top1"] if s.has_probe_test else []
    arrays = {name: np.array(getattr(s, name)[:s.blocks]) for name in names}
    arrays.update({s.term_name[i].decode(): np.array(s.term[i][:s.blocks]) for i in range(s.terms)})
    return {"step": s.step, "epoch": s.epoch, "lr": s.lr, "samples_per_s": s.samples_per_s,
            "peak_rss_mb": s.peak_rss_mb, **arrays}


def pretrain(data, out, recipe=None, config=None, *, format=None, resume=False, init=None, on_start=None, on_step=None):
    """A whole run into the folder `out`, of images at a path or of a Dataset. config: settings over those of the
    recipe, nested or by dotted names. on_start(total, first, images) is called before the first step, on_step(step)
    after each, with what metrics.jsonl has of it; arrays have a value a block. An exception in them, or Ctrl-C, saves a
    checkpoint, ends the run and comes out of this call."""
    raised = []

    def guarded(function, *arguments):
        try:
            if function and not raised:
                function(*arguments)
        except BaseException as e:  # it must not leave through C
            raised.append(e)

    c = _lib.bw_config_default()
    if recipe:
        _check(_lib.bw_config_load_recipe(c, _bytes(recipe)))
    for assignment in _assignments(config or {}):
        _check(_lib.bw_config_set(c, assignment.encode()))
    is_open = isinstance(data, Dataset)
    options = _PretrainOptions(
        config=C.pointer(c), data=None if is_open else os.fsencode(data), dataset=data._as_parameter_ if is_open else None,
        format=_bytes(format), out=os.fsencode(out), resume=resume, init=_bytes(init),
        on_start=_ON_START(lambda _, total, first, images: guarded(on_start, total, first, images)),
        on_step=_ON_STEP(lambda _, step: guarded(lambda: on_step(_step(step.contents)) if on_step else None)),
        request=_REQUEST(lambda _: _STOP if raised else 0))
    if sys.__stderr__ and not faulthandler.is_enabled():
        faulthandler.enable(sys.__stderr__)  # gives signals a stack of their own, which kernels want (trainer.h)
    before = signal.getsignal(signal.SIGINT)
    mine = threading.current_thread() is threading.main_thread() and callable(before)
    if mine:  # an exception at the entry of a callback would be lost: it is kept like one from inside
        signal.signal(signal.SIGINT, lambda *arguments: guarded(before, *arguments))
    try:
        status = _lib.bw_pretrain(C.byref(options))
    finally:
        if mine:
            signal.signal(signal.SIGINT, before)
    if raised:
        raise raised[0]
    _check(status)
