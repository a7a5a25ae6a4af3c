// buffers.js ROUNDS: prints the same every time.
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");
const { createHash } = require("crypto");
const zlib = require("zlib");
const checksum = (data) => createHash("sha256").update(data).digest("hex").slice(0, 16);

function fill(size, seed) {
  const bytes = Buffer.alloc(size);
  for (let i = 0, x = seed; i < size; i++) bytes[i] = (x = (x * 1103515245 + 12345) & 0x7fffffff) >> 20;
  return bytes;
}

if (!isMainThread) {
  const parts = [];
  for (let i = 0; i < 400; i++) parts.push(fill((i * 997) % 30000, workerData + i));
  const packed = zlib.deflateSync(Buffer.concat(parts), { level: 1 });
  parentPort.postMessage([workerData, checksum(zlib.inflateSync(packed))]);
} else {
  main(Number(process.argv[2]));
}

async function main(rounds) {
  for (let round = 0; round < rounds; round++) {
    const workers = [1, 2, 3, 4].map((seed) => new Promise((resolve, reject) => {
      const worker = new Worker(__filename, { workerData: seed });
      worker.on("message", resolve).on("error", reject);
    }));
    for (const [seed, sum] of await Promise.all(workers)) console.log("worker", seed, sum);
    const kept = new Map();
    for (let i = 0; i < 6000; i++) {
      kept.set(i % 500, fill((i * 7919) % 20000, i + round));
    }
    console.log(checksum(Buffer.concat([...kept.values()])));
    const text = JSON.stringify([...kept.keys()].map((k) => ({ k, s: kept.get(k).toString("base64", 0, 200) })));
    console.log(text.length, checksum(JSON.stringify(JSON.parse(text))));
    const gzipped = await Promise.all([1, 2, 3].map((l) => new Promise((resolve, reject) =>
      zlib.gzip(text, { level: l }, (e, r) => (e ? reject(e) : resolve(r))))));
    console.log(gzipped.map((g) => checksum(zlib.gunzipSync(g))).join());
    console.log(checksum(zlib.brotliDecompressSync(zlib.brotliCompressSync(text, {
      params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 } }))));
  }
  try {
    Buffer.alloc(2 ** 53);
  } catch (e) {
    console.log(e.code);
  }
}
