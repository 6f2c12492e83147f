"""Runs an ONNX model in OpenCV's DNN module. usage: run_onnx.py MODEL IMAGES.npy FEATURES.npy
IMAGES [n, 3, h, w] f32; writes its features. Exit status 77 where there is no OpenCV."""
import sys

import numpy

try:
    import cv2
except ImportError:
    sys.exit(77)

net = cv2.dnn.readNetFromONNX(sys.argv[1])
net.setInput(numpy.load(sys.argv[2]))
numpy.save(sys.argv[3], net.forward())
