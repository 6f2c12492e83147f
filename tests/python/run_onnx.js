// Runs an ONNX model in onnxruntime. usage: run_onnx.js MODEL IMAGES FEATURES N H W
// IMAGES: raw f32 [N, 3, H, W]; writes its features in the same form. Exit status 77 where there is no
// onnxruntime-node, neither found through NODE_PATH nor where scripts/setup.sh --ci keeps it.
const fs = require("fs"), os = require("os"), path = require("path");
const kept = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "blockwise/node_modules");
let ort;
for (const place of ["onnxruntime-node", path.join(kept, "onnxruntime-node")]) {
  try {
    ort = ort || require(place);
  } catch {}
}
if (!ort) process.exit(77);
const [, , model, images, features, n, h, w] = process.argv;
(async () => {
  const bytes = fs.readFileSync(images);
  const x = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const session = await ort.InferenceSession.create(model);
  const out = await session.run({ images: new ort.Tensor("float32", x, [+n, 3, +h, +w]) });
  const y = out.features.data;
  fs.writeFileSync(features, Buffer.from(y.buffer, y.byteOffset, y.byteLength));
})();
