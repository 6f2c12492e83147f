"""Run by numpy_module.sh in an empty folder."""
import gc
import json
import os
import signal
import struct
import subprocess
import threading
import unittest
import weakref
from pathlib import Path

import numpy as np

import blockwise

N, S = 40, 16
TINY = {"model": {"arch": "resnet18", "width": 8, "stem": "cifar"}, "data.image_size": S, "train.batch": 8,
        "projector.widths": [16, 12], "threads": 1, "data.threads": 1, "seed": 5}
pixels = np.random.default_rng(1).integers(0, 256, (N, S, S, 3), np.uint8)
labels = np.arange(N) % 3
os.mkdir("images")
with open("images/train-images-idx4-ubyte", "wb") as f:
    f.write(struct.pack(">IIIII", 0x804, N, S, S, 3) + pixels.tobytes())
with open("images/train-labels-idx1-ubyte", "wb") as f:
    f.write(struct.pack(">II", 0x801, N) + labels.astype(np.uint8).tobytes())
steps, starts, lines = [], [], []
blockwise.set_log(lambda level, line: lines.append((level, line)))
blockwise.pretrain("images", "run", config={**TINY, "train.steps": 3}, on_start=lambda *a: starts.append(a),
                   on_step=steps.append)


class Module(unittest.TestCase):
    def test_steps_are_those_of_the_metrics(self):
        self.assertEqual(starts, [(3, 0, N)])
        with open("run/metrics.jsonl") as f:
            metrics = [json.loads(line) for line in f]
        self.assertEqual(len(metrics), 3)
        for line, step in zip(metrics, steps):
            self.assertEqual(set(line), set(step))
            for key, value in line.items():
                np.testing.assert_allclose(step[key], value, rtol=1e-7, err_msg=key)
        self.assertIn("effective_rank", steps[0])
        self.assertTrue(any("machine: " in line for _, line in lines))

    def test_data_set_gives_pixels_labels_and_names(self):
        data = blockwise.Dataset("images")
        self.assertEqual((len(data), data.format, data.classes), (N, "idx", ["0", "1", "2"]))
        np.testing.assert_array_equal(data.labels, labels)
        np.testing.assert_array_equal(np.stack([data[i] for i in range(N)]), pixels)
        self.assertIn("7", data.name(7))
        with self.assertRaises(IndexError):
            data[N]
        self.assertEqual(sum(1 for _ in data), N)

    def test_embed_is_that_of_the_program_and_extract_is_the_same_network(self):
        network, data = blockwise.Network("run"), blockwise.Dataset("images")
        self.assertEqual((network.blocks, network.has_heads), (4, True))
        for block, feature in ((1, "head"), (-1, "trunk")):
            subprocess.run([os.environ["BLOCKWISE"], "embed", "run", "--data", "images", "--out", "f.npy", "--block",
                            str(block % 4 + 1), "--feature", feature, "--quiet", "--threads", "1"], check=True,
                           stdout=subprocess.DEVNULL)
            features, index = network.embed(data, block, feature, threads=1)
            np.testing.assert_array_equal(features, np.load("f.npy"))
            np.testing.assert_array_equal(index, np.arange(N))
            self.assertEqual(features.shape, (N, network.feature_dim(block, feature)))
            for images in (pixels, pixels / 255):
                np.testing.assert_allclose(network.extract(images, feature)[block], features, rtol=1e-4, atol=1e-5)

    def test_blocks_that_are_not_there_are_refused(self):
        network = blockwise.Network("run")
        self.assertEqual(network.feature_dim(-4), network.feature_dim(0))
        for block in (4, 7, -5):
            with self.assertRaises(IndexError):
                network.feature_dim(block)
            with self.assertRaises(IndexError):
                network.embed(blockwise.Dataset("images"), block)

    def test_embed_opens_a_path_and_wrong_types_are_refused(self):
        network = blockwise.Network("run")
        for path in ("images", b"images", Path("images")):
            np.testing.assert_array_equal(network.embed(path)[1], np.arange(N))
        with self.assertRaises(blockwise.Error):
            network.embed("nowhere")
        for wrong in (None, 5, network, pixels):
            for call in (network.embed, blockwise.Dataset, blockwise.Network,
                         lambda data: blockwise.pretrain(data, "new", config=TINY)):
                with self.assertRaises(TypeError):
                    call(wrong)
        with self.assertRaises(TypeError):
            blockwise.pretrain("images", None, config=TINY)

    def test_words_that_there_are_not_are_refused_with_those_there_are(self):
        with self.assertRaisesRegex(ValueError, "split is one of train, test, any, not 'val'"):
            blockwise.Dataset("images", split="val")
        with self.assertRaisesRegex(ValueError, "feature is one of head, trunk, not 'foo'"):
            blockwise.Network("run").embed("images", feature="foo")

    def test_a_receiver_of_lines_lives_until_the_library_has_another(self):
        class Receiver:
            def __call__(self, level, line):
                pass
        before, bw_set_log, lives = Receiver(), blockwise._lib.bw_set_log, []
        held = weakref.ref(before)

        def look(*arguments):
            lives.append(held() is not None)
            bw_set_log(*arguments)
        blockwise.set_log(before)
        del before
        blockwise._lib.bw_set_log = look
        try:
            blockwise.set_log(None)
        finally:
            blockwise._lib.bw_set_log = bw_set_log
        gc.collect()
        self.assertEqual((lives, held()), ([True], None))

    def test_failures_have_the_message_of_the_library(self):
        for call, status, text in (
                (lambda: blockwise.Dataset("nowhere"), "EDATA", "nowhere: no such file or folder"),
                (lambda: blockwise.Network("images"), "EDATA", "no model.safetensors"),
                (lambda: blockwise.pretrain("images", "new", config={"train.batc": 8}), "EINVAL", "did you mean 'train.batch'"),
                (lambda: blockwise.pretrain("images", "new", recipe="cifra10"), "EINVAL", "cifar10"),
                (lambda: blockwise.pretrain("images", "run", config=TINY), "EEXIST", "run: exists")):
            with self.assertRaises(blockwise.Error) as caught:
                call()
            self.assertEqual(caught.exception.status, status)
            self.assertIn(text, str(caught.exception))
        with self.assertRaises(ValueError):
            blockwise.Network("run").extract(pixels[0])

    def test_an_exception_saves_and_stops_and_the_run_goes_on(self):
        def stop(step):
            if step["step"] == 2:
                raise KeyboardInterrupt
        data = blockwise.Dataset("images")
        with self.assertRaises(KeyboardInterrupt):
            blockwise.pretrain(data, "stopped", config={**TINY, "train.steps": 3}, on_step=stop)
        rest = []
        blockwise.pretrain(data, "stopped", config={**TINY, "train.steps": 3}, resume=True, on_step=rest.append)
        self.assertEqual([s["step"] for s in rest], [3])
        with open("run/model.safetensors", "rb") as a, open("stopped/model.safetensors", "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_ctrl_c_while_the_library_computes_saves_and_stops(self):
        timer = threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT))
        handler = signal.getsignal(signal.SIGINT)
        with self.assertRaises(KeyboardInterrupt):  # the signal comes in a step, not in a callback
            blockwise.pretrain("images", "interrupted", config={**TINY, "train.steps": 4000, "train.epochs": 1000},
                               on_step=lambda step: timer.start() if step["step"] == 2 else None)
        self.assertIs(signal.getsignal(signal.SIGINT), handler)
        self.assertTrue(list(Path("interrupted/checkpoints").glob("step-*.safetensors")))


unittest.main()
