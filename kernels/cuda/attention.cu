// Attention for any type, head size up to 256, mask, cap and bias, with plain arithmetic: what flash.cu does not cover (f32,
// odd head sizes, caches), and the gradient of biases. A warp has a query, a key or a diagonal. Dao et al. 2022's recomputation
// from lse; masks and scores as src/tensor/operations.ts says.

#define WARPS 8
#define LANE ((int)(threadIdx.x & 31))
/** Columns of a head that a lane holds at most: 32 times as many are the largest head. */
#define COLUMNS 8


/** The keys that a query sees: from ≤ j < to. */
struct Range {
  int from, to;
};

DEVICE Range rangeOf(const int *lo, const int *hi, i64 token, int t, int causal, int window) {
  Range r = {lo[token], causal ? t + 1 : hi[token]};
  if (window > 0) {
    r.from = larger(r.from, t - window + 1);
    r.to = smaller(r.to, t + window);
  }
  return r;
}

struct Score {
  float value, slope;
};

DEVICE Score scoreOf(float product, const float *bias, int distance, float scale, float softcap) {
  Score s = {scale * product, scale};
  if (softcap > 0.f) {
    const float t = tanhf(s.value / softcap);
    s.value = softcap * t;
    s.slope = scale * (1.f - t * t);
  }
  if (bias) s.value += bias[distance];
  return s;
}

template <class T> DEVICE float dotOf(const T *a, const act *b, int D) {
  float sum = 0.f;
  for (int d = 0; d < D; d++) sum += load(a + d) * load(b + d);
  return sum;
}

/**
 * A warp has a query of a head: 32 keys at a time, one a lane, with the running maximum and sum of online softmax.
 * Dynamic shared memory: 8·D floats. Where position is not null, the keys are a cache and t counts from position[row]:
 * then a query past the context has no result.
 */
KERNEL(256) attention(const act *q, const act *k, const act *v, const int *lo, const int *hi, const float *bias, const int *position, act *y, float *lse,
    int rows, int length, int keyLength, int H, int G, int D, int queryStride, int keyStride, float scale, float softcap, int causal, int window, int biasColumns) {
  DYNAMIC_SHARED(memory);
  const int lane = LANE;
  float *query = (float *)memory + (threadIdx.x >> 5) * D;
  const i64 item = (i64)blockIdx.x * WARPS + (threadIdx.x >> 5);
  const int head = (int)(item % H);
  const i64 token = item / H;
  if (token >= (i64)rows * length) return;
  const i64 row = token / length;
  int t = (int)(token % length);
  Range range;
  if (position) {
    t += position[row];
    range.from = window > 0 ? larger(0, t - window + 1) : 0;
    range.to = t < keyLength ? t + 1 : 0;
  } else range = rangeOf(lo, hi, token, t, causal, window);
  for (int d = lane; d < D; d += 32) query[d] = load(q + token * queryStride + head * D + d);
  __syncwarp();
  const i64 column = (i64)(head / (H / G)) * D;
  k += row * keyLength * keyStride + column;
  v += row * keyLength * keyStride + column;
  // the index of key 0: distances begin at 1 − the number of queries, which for a cache is its context
  if (bias) bias += (i64)head * biasColumns + (position ? keyLength : length) - 1 - t;
  float sums[COLUMNS], top = -1e30f, total = 0.f;
  for (int i = 0; i < COLUMNS; i++) sums[i] = 0.f;
  for (int from = range.from; from < range.to; from += 32) {
    const int j = from + lane;
    const float score = j < range.to ? scoreOf(dotOf(query, k + (i64)j * keyStride, D), bias, j, scale, softcap).value : -1e30f;
    const float highest = fmaxf(top, warpMax(score)), fade = expf(top - highest), p = j < range.to ? expf(score - highest) : 0.f;
    top = highest;
    total = total * fade + p;
    for (int i = 0; i < COLUMNS; i++) sums[i] *= fade;
    const int count = smaller(32, range.to - from);
    for (int n = 0; n < count; n++) {
      const float weight = shuffleFrom(p, n);
      for (int i = 0; i < COLUMNS; i++)
        if (lane + 32 * i < D) sums[i] += weight * load(v + (i64)(from + n) * keyStride + lane + 32 * i);
    }
  }
  total = warpSum(total);
  for (int i = 0; i < COLUMNS; i++)
    if (lane + 32 * i < D) store(y + (token * H + head) * D + lane + 32 * i, total > 0.f ? sums[i] / total : 0.f);
  if (lse && lane == 0) lse[token * H + head] = total > 0.f ? top + logf(total) : 0.f;
}

/** delta[N·H] = Σ y·dy of each head of each token. A warp has one. */
KERNEL(256) attention_delta(const act *y, const act *dy, float *delta, int items, int D) {
  const i64 item = (i64)blockIdx.x * WARPS + (threadIdx.x >> 5);
  if (item >= items) return;
  float sum = 0.f;
  for (int d = LANE; d < D; d += 32) sum += load(y + item * D + d) * load(dy + item * D + d);
  sum = warpSum(sum);
  if (LANE == 0) delta[item] = sum;
}

/** A warp has a query of a head, 32 keys at a time. Dynamic shared memory: 16·D floats. */
KERNEL(256) attention_backward_query(const act *q, const act *k, const act *v, const act *dy, const int *lo, const int *hi, const float *bias, const float *lse, const float *delta, act *dq,
    int rows, int length, int keyLength, int H, int G, int D, int queryStride, int keyStride, float scale, float softcap, int causal, int window) {
  DYNAMIC_SHARED(memory);
  const int lane = LANE;
  float *query = (float *)memory + (threadIdx.x >> 5) * 2 * D, *slope = query + D;
  const i64 item = (i64)blockIdx.x * WARPS + (threadIdx.x >> 5);
  const int head = (int)(item % H);
  const i64 token = item / H;
  if (token >= (i64)rows * length) return;
  const i64 row = token / length;
  const int t = (int)(token % length);
  const Range range = rangeOf(lo, hi, token, t, causal, window);
  for (int d = lane; d < D; d += 32) {
    query[d] = load(q + token * queryStride + head * D + d);
    slope[d] = load(dy + (token * H + head) * D + d);
  }
  __syncwarp();
  const i64 column = (i64)(head / (H / G)) * D;
  k += row * keyLength * keyStride + column;
  v += row * keyLength * keyStride + column;
  if (bias) bias += (i64)head * (length + keyLength - 1) + length - 1 - t;
  float sums[COLUMNS];
  for (int i = 0; i < COLUMNS; i++) sums[i] = 0.f;
  for (int from = range.from; from < range.to; from += 32) {
    const int j = from + lane;
    float ds = 0.f;
    if (j < range.to) {
      const Score s = scoreOf(dotOf(query, k + (i64)j * keyStride, D), bias, j, scale, softcap);
      ds = expf(s.value - lse[item]) * (dotOf(slope, v + (i64)j * keyStride, D) - delta[item]) * s.slope;
    }
    const int count = smaller(32, range.to - from);
    for (int n = 0; n < count; n++) {
      const float weight = shuffleFrom(ds, n);
      for (int i = 0; i < COLUMNS; i++)
        if (lane + 32 * i < D) sums[i] += weight * load(k + (i64)(from + n) * keyStride + lane + 32 * i);
    }
  }
  for (int i = 0; i < COLUMNS; i++)
    if (lane + 32 * i < D) store(dq + token * queryStride + head * D + lane + 32 * i, sums[i]);
}

/** A warp has a key and its value, of a group: 32 queries at a time, of one head after another. Dynamic shared memory: 16·D floats. */
KERNEL(256) attention_backward_key(const act *q, const act *k, const act *v, const act *dy, const int *lo, const int *hi, const float *bias, const float *lse, const float *delta, act *dk, act *dv,
    int rows, int length, int keyLength, int H, int G, int D, int queryStride, int keyStride, float scale, float softcap, int causal, int window) {
  DYNAMIC_SHARED(memory);
  const int lane = LANE;
  float *key = (float *)memory + (threadIdx.x >> 5) * 2 * D, *value = key + D;
  const i64 item = (i64)blockIdx.x * WARPS + (threadIdx.x >> 5);
  const int group = (int)(item % G);
  const i64 token = item / G;
  if (token >= (i64)rows * keyLength) return;
  const i64 row = token / keyLength;
  const int j = (int)(token % keyLength);
  const i64 at = token * keyStride + (i64)group * D;
  for (int d = lane; d < D; d += 32) {
    key[d] = load(k + at + d);
    value[d] = load(v + at + d);
  }
  __syncwarp();
  float keySums[COLUMNS], valueSums[COLUMNS];
  for (int i = 0; i < COLUMNS; i++) keySums[i] = valueSums[i] = 0.f;
  const int first = causal ? j : window > 0 ? larger(0, j - window + 1) : 0, last = window > 0 ? smaller(length, j + window) : length;
  for (int head = group * (H / G); head < (group + 1) * (H / G); head++) {
    const act *queries = q + row * length * queryStride + head * D, *slopes = dy + (row * length * H + head) * D;
    for (int from = first; from < last; from += 32) {
      const int t = from + lane;
      float p = 0.f, ds = 0.f;
      if (t < last) {
        const i64 query = row * length + t;
        const Range range = rangeOf(lo, hi, query, t, causal, window);
        if (range.from <= j && j < range.to) {
          const float *own = bias ? bias + (i64)head * (length + keyLength - 1) + length - 1 - t : bias;
          const Score s = scoreOf(dotOf(key, queries + (i64)t * queryStride, D), own, j, scale, softcap);
          p = expf(s.value - lse[query * H + head]);
          ds = p * (dotOf(value, slopes + (i64)t * H * D, D) - delta[query * H + head]) * s.slope;
        }
      }
      const int count = smaller(32, last - from);
      for (int n = 0; n < count; n++) {
        const float weight = shuffleFrom(ds, n), share = shuffleFrom(p, n);
        for (int i = 0; i < COLUMNS; i++)
          if (lane + 32 * i < D) {
            keySums[i] += weight * load(queries + (i64)(from + n) * queryStride + lane + 32 * i);
            valueSums[i] += share * load(slopes + (i64)(from + n) * H * D + lane + 32 * i);
          }
      }
    }
  }
  for (int i = 0; i < COLUMNS; i++)
    if (lane + 32 * i < D) {
      store(dk + at + lane + 32 * i, keySums[i]);
      store(dv + at + lane + 32 * i, valueSums[i]);
    }
}

/** parts[rows, H, length + keyLength − 1]: a warp has a distance of a head in a row, its lanes the queries. */
KERNEL(256) attention_backward_bias(const act *q, const act *k, const act *v, const act *dy, const int *lo, const int *hi, const float *bias, const float *lse, const float *delta, float *parts,
    int rows, int length, int keyLength, int H, int G, int D, int queryStride, int keyStride, float scale, float softcap, int causal, int window) {
  const i64 item = (i64)blockIdx.x * WARPS + (threadIdx.x >> 5);
  const int columns = length + keyLength - 1, index = (int)(item % columns), head = (int)(item / columns % H);
  const i64 row = item / columns / H, column = (i64)(head / (H / G)) * D;
  if (row >= rows) return;
  const int first = larger(0, length - 1 - index), last = smaller(length, keyLength + length - 1 - index);
  float sum = 0.f;
  for (int t = first + LANE; t < last; t += 32) {
    const int j = t + index + 1 - length;
    const i64 token = row * length + t, key = (row * keyLength + j) * keyStride + column;
    const Range range = rangeOf(lo, hi, token, t, causal, window);
    if (j < range.from || j >= range.to) continue;
    const float value = scoreOf(dotOf(q + token * queryStride + head * D, k + key, D), bias + (i64)head * columns, index, scale, softcap).value;
    sum += expf(value - lse[token * H + head]) * (dotOf(dy + (token * H + head) * D, v + key, D) - delta[token * H + head]);
  }
  sum = warpSum(sum);
  if (LANE == 0) parts[item] = sum;
}

/** `length` tokens a row join the cache[rows·context, width] from position[row] on; those past it are left out. A block has a token. */
KERNEL(256) join_cache(const act *k, int stride, act *keys, act *values, const int *position, int length, int context, int width) {
  const int row = blockIdx.x / length, t = blockIdx.x % length, to = position[row] + t;
  if (to >= context) return;
  k += (i64)blockIdx.x * stride;
  const i64 at = ((i64)row * context + to) * width;
  for (int d = threadIdx.x; d < width; d += 256) {
    keys[at + d] = k[d];
    values[at + d] = k[width + d];
  }
}
