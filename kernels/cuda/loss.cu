// Cross entropy of a chunk of logits[rows, V], with their gradients in place: what a softmax would write is never written.
// y = lse − (1 − s)·z[target] − s·mean z + zLoss·lse² with z capped, s smoothing. A block has a row; a negative target no loss.

DEVICE float capped(float z, float softcap) { return softcap > 0.f ? softcap * tanhf(z / softcap) : z; }

template <int W>
DEVICE void crossEntropyRow(act *logits, const float *bias, int target, float *loss, const float *scale, int V, int training, float softcap, float zLoss, float smoothing) {
  SHARED float shared[8];
  float v[4], b[4] = {0.f, 0.f, 0.f, 0.f}, top = -1e30f, total = 0.f, level = 0.f;
  for (int i = threadIdx.x * W; i < V; i += 256 * W) {
    loadMany<W>(logits + i, v);
    if (bias) loadMany<W>(bias + i, b);
    float highest = top;
    for (int e = 0; e < W; e++) {
      v[e] = capped(v[e] + b[e], softcap);
      level += v[e];
      highest = fmaxf(highest, v[e]);
    }
    total *= expf(top - highest);
    top = highest;
    for (int e = 0; e < W; e++) total += expf(v[e] - top);
  }
  const float blockTop = blockMax(top, shared);
  const float lse = blockTop + logf(blockSum(total * expf(top - blockTop), shared));
  const float mean = smoothing > 0.f ? blockSum(level, shared) / V : 0.f;
  if (threadIdx.x == 0) {
    const float z = capped(load(logits + target) + (bias ? bias[target] : 0.f), softcap);
    *loss = lse - (1.f - smoothing) * z - smoothing * mean + zLoss * lse * lse;
  }
  if (!training) return;
  __syncthreads(); // the target's logit has been read
  const float push = 1.f + 2.f * zLoss * lse, spread = smoothing / V, factor = *scale;
  for (int i = threadIdx.x * W; i < V; i += 256 * W) {
    loadMany<W>(logits + i, v);
    if (bias) loadMany<W>(bias + i, b);
    for (int e = 0; e < W; e++) {
      const float z = capped(v[e] + b[e], softcap), uncapped = softcap > 0.f ? 1.f - z / softcap * (z / softcap) : 1.f;
      const float wanted = spread + (i + e == target ? 1.f - smoothing : 0.f);
      v[e] = factor * uncapped * (expf(z - lse) * push - wanted);
    }
    storeMany<W>(logits + i, v);
  }
}

/** The bias is added here, in f32, where there is one. */
KERNEL(256) cross_entropy(act *logits, const float *bias, const int *targets, float *losses, const float *scale, int V, int training, float softcap, float zLoss, float smoothing) {
  const i64 row = blockIdx.x;
  const int target = targets[row];
  logits += row * V;
  if (target < 0) {
    if (threadIdx.x == 0) losses[row] = 0.f;
    if (training)
      for (int i = threadIdx.x; i < V; i += 256) store(logits + i, 0.f);
  } else if (V % 4 == 0) crossEntropyRow<4>(logits, bias, target, losses + row, scale, V, training, softcap, zLoss, smoothing);
  else crossEntropyRow<1>(logits, bias, target, losses + row, scale, V, training, softcap, zLoss, smoothing);
}
