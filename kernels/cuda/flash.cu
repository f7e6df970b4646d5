// Attention of heads in halves of HEAD_SIZE 64 or 128 on tensor cores (mma.m16n8k16), tiles of keys streamed by cp.async while the
// tile before is used. Dao 2023, arxiv.org/abs/2307.08691; backward in two passes, of keys and of queries, so that nothing is
// added atomically. Masks and scores as src/tensor/operations.ts says; tiles that no query sees are skipped.
// Built twice for each head size: with EXTRAS 1 it knows caps and biases. Blocks of 256 threads have 128 rows, a warp 16.

#define ROWS 128
/** Keys a step in the forward pass; queries or keys a step in the backward pass, where registers are scarcer. */
#define KEY_TILE 64
#define BACK_TILE (HEAD_SIZE == 128 ? 32 : 64)
#define ROW_BYTES (HEAD_SIZE * 2)
#define HIDDEN -1e30f

#ifndef EMULATED
DEVICE u32 sharedAddress(const void *p) { return (u32)__cvta_generic_to_shared(p); }
/** Copies 16 bytes when waited for, or zeroes them. */
DEVICE void copyAsync(u32 to, const void *from, bool isThere) {
  const int bytes = isThere ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}
DEVICE void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> DEVICE void waitForCopies() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }
DEVICE void loadMatrices(u32 *r, u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}
DEVICE void loadMatricesTransposed(u32 *r, u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}
/** c[16,8] += a[16,16]·b[16,8]. */
DEVICE void multiply(float *c, const u32 *a, const u32 *b) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." HALF "." HALF ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

/** `N` rows of a head, from `first` on, into shared memory, its 16-byte pieces permuted in each row so that no two rows of a matrix share a bank. */
template <int N> DEVICE void copyTile(u32 to, const half *from, i64 stride, int first, int count) {
#pragma unroll
  for (int i = threadIdx.x; i < N * (HEAD_SIZE / 8); i += 256) {
    const int row = i / (HEAD_SIZE / 8), piece = i % (HEAD_SIZE / 8);
    const bool isThere = first + row < count;
    copyAsync(to + row * ROW_BYTES + ((piece ^ (row & 7)) << 4), from + (i64)(isThere ? first + row : 0) * stride + piece * 8, isThere);
  }
}

/** What a lane gives to loadMatrices for 16 rows: the left operand, or the right one transposed. */
DEVICE u32 leftAddress(u32 tile, int row, int piece, int lane) {
  const int r = row + (lane & 15), p = piece + (lane >> 4);
  return tile + r * ROW_BYTES + ((p ^ (r & 7)) << 4);
}
/** For two columns of 8 of the right operand. */
DEVICE u32 rightAddress(u32 tile, int row, int piece, int lane) {
  const int r = row + (lane & 7) + ((lane >> 4) << 3), p = piece + ((lane >> 3) & 1);
  return tile + r * ROW_BYTES + ((p ^ (r & 7)) << 4);
}

/** sums[16,N] = 16 rows of the left tile times the N rows of the right tile, transposed. */
template <int N> DEVICE void scoresOf(float (*sums)[4], u32 left, int row, u32 right, int lane) {
#pragma unroll
  for (int j = 0; j < N / 8; j++) sums[j][0] = sums[j][1] = sums[j][2] = sums[j][3] = 0.f;
#pragma unroll
  for (int k = 0; k < HEAD_SIZE / 16; k++) {
    u32 a[4];
    loadMatrices(a, leftAddress(left, row, k * 2, lane));
#pragma unroll
    for (int j = 0; j < N / 16; j++) {
      u32 b[4];
      loadMatrices(b, rightAddress(right, j * 16, k * 2, lane));
      multiply(sums[2 * j], a, b);
      multiply(sums[2 * j + 1], a, b + 2);
    }
  }
}

/** sums[16,HEAD_SIZE] += p[16,N], as scoresOf leaves it, times the N rows of a tile. */
template <int N> DEVICE void addWeighted(float (*sums)[4], float (*p)[4], u32 tile, int lane) {
#pragma unroll
  for (int k = 0; k < N / 16; k++) {
    const u32 a[4] = {pack(p[2 * k][0], p[2 * k][1]), pack(p[2 * k][2], p[2 * k][3]), pack(p[2 * k + 1][0], p[2 * k + 1][1]), pack(p[2 * k + 1][2], p[2 * k + 1][3])};
#pragma unroll
    for (int j = 0; j < HEAD_SIZE / 16; j++) {
      u32 b[4];
      loadMatricesTransposed(b, leftAddress(tile, k * 16, j * 2, lane));
      multiply(sums[2 * j], a, b);
      multiply(sums[2 * j + 1], a, b + 2);
    }
  }
}

/** Stores 16 rows times a factor for each of a lane's two. */
DEVICE void storeRows(half *to, i64 stride, int row, int count, float (*sums)[4], float factor0, float factor1, int lane) {
  const int r = row + (lane >> 2);
#pragma unroll
  for (int j = 0; j < HEAD_SIZE / 8; j++) {
    const int column = j * 8 + (lane & 3) * 2;
    if (r < count) *(u32 *)(to + (i64)r * stride + column) = pack(sums[j][0] * factor0, sums[j][1] * factor0);
    if (r + 8 < count) *(u32 *)(to + (i64)(r + 8) * stride + column) = pack(sums[j][2] * factor1, sums[j][3] * factor1);
  }
}

/** The keys that a query sees: from ≤ j < to. */
struct Range {
  int from, to;
};

DEVICE Range rangeOf(const int *lo, const int *hi, int t, int length, int causal, int window) {
  Range r = {0, 0};
  if (t >= length) return r;
  r.from = lo[t];
  r.to = causal ? t + 1 : hi[t];
  if (window > 0) {
    r.from = larger(r.from, t - window + 1);
    r.to = smaller(r.to, t + window);
  }
  return r;
}

/** The smallest interval that covers what the 128 queries of a block see, from a multiple of `tile` on. */
DEVICE Range blockRange(const int *lo, const int *hi, int first, int length, int causal, int window, int tile, int *shared) {
  Range own = {0x7fffffff, 0};
  if (threadIdx.x < ROWS) {
    const Range r = rangeOf(lo, hi, first + threadIdx.x, length, causal, window);
    if (r.from < r.to) own = r;
  }
  shared[threadIdx.x] = own.from;
  shared[256 + threadIdx.x] = own.to;
  for (int half = ROWS / 2; half; half >>= 1) {
    __syncthreads();
    if (threadIdx.x < half) {
      shared[threadIdx.x] = smaller(shared[threadIdx.x], shared[threadIdx.x + half]);
      shared[256 + threadIdx.x] = larger(shared[256 + threadIdx.x], shared[256 + threadIdx.x + half]);
    }
  }
  __syncthreads();
  const Range all = {shared[0] / tile * tile, shared[256]};
  __syncthreads();
  return all;
}

/** A score in units of ln 2, so that weights are powers of two, and the slope of the score in q·k where it is asked for. */
DEVICE float scoreOf(float product, float scale, float softcap, const float *bias, int distance, float *slope) {
#if EXTRAS
  float value = product * scale, s = scale;
  if (softcap > 0.f) {
    const float t = 1.f - 2.f / (exp2Fast(value * (2.f * LOG2E) / softcap) + 1.f);
    value = softcap * t;
    s = scale * (1.f - t * t);
  }
  if (bias) value += bias[distance];
  *slope = s;
  return value * LOG2E;
#else
  *slope = 1.f; // the scale is multiplied in at the end
  return product * (scale * LOG2E);
#endif
}
#define LAST_SCALE (EXTRAS ? 1.f : scale)

/** Grid: blocks of queries, heads, rows. Dynamic shared memory: (128 + 4·KEY_TILE)·ROW_BYTES. */
KERNEL(256) flash(const half *q, const half *k, const half *v, const int *lo, const int *hi, const float *bias, half *y, float *lse,
    int length, int keyLength, int H, int G, int queryStride, int keyStride, float scale, float softcap, int causal, int window) {
  DYNAMIC_SHARED(memory);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, row = blockIdx.z, head = blockIdx.y, first = blockIdx.x * ROWS, group = head / (H / G);
  const i64 tokens = (i64)row * length, keys = (i64)row * keyLength;
  lo += tokens;
  if (hi) hi += tokens;
  q += tokens * queryStride + head * HEAD_SIZE;
  k += keys * keyStride + group * HEAD_SIZE;
  v += keys * keyStride + group * HEAD_SIZE;
  const u32 Q = sharedAddress(memory), K = Q + ROWS * ROW_BYTES, V = K + 2 * KEY_TILE * ROW_BYTES;
  const Range range = blockRange(lo, hi, first, length, causal, window, KEY_TILE, (int *)memory);
  const int r0 = first + warp * 16 + (lane >> 2), r1 = r0 + 8;
  const Range sees0 = rangeOf(lo, hi, r0, length, causal, window), sees1 = rangeOf(lo, hi, r1, length, causal, window);
  if (bias) bias += (i64)head * (length + keyLength - 1) + length - 1;
  float sums[HEAD_SIZE / 8][4], top0 = HIDDEN, top1 = HIDDEN, total0 = 0.f, total1 = 0.f, slope;
#pragma unroll
  for (int j = 0; j < HEAD_SIZE / 8; j++) sums[j][0] = sums[j][1] = sums[j][2] = sums[j][3] = 0.f;
  if (range.from < range.to) {
    copyTile<ROWS>(Q, q, queryStride, first, length);
    copyTile<KEY_TILE>(K, k, keyStride, range.from, keyLength);
    copyTile<KEY_TILE>(V, v, keyStride, range.from, keyLength);
  }
  commitCopies();
  int stage = 0;
  for (int from = range.from; from < range.to; from += KEY_TILE, stage ^= 1) {
    if (from + KEY_TILE < range.to) {
      copyTile<KEY_TILE>(K + (stage ^ 1) * KEY_TILE * ROW_BYTES, k, keyStride, from + KEY_TILE, keyLength);
      copyTile<KEY_TILE>(V + (stage ^ 1) * KEY_TILE * ROW_BYTES, v, keyStride, from + KEY_TILE, keyLength);
    }
    commitCopies();
    waitForCopies<1>();
    __syncthreads();
    float p[KEY_TILE / 8][4], highest0 = top0, highest1 = top1;
    scoresOf<KEY_TILE>(p, Q, warp * 16, K + stage * KEY_TILE * ROW_BYTES, lane);
#pragma unroll
    for (int j = 0; j < KEY_TILE / 8; j++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int key = from + j * 8 + (lane & 3) * 2 + e;
        p[j][e] = key >= sees0.from && key < sees0.to ? scoreOf(p[j][e], scale, softcap, bias, key - r0, &slope) : HIDDEN;
        p[j][2 + e] = key >= sees1.from && key < sees1.to ? scoreOf(p[j][2 + e], scale, softcap, bias, key - r1, &slope) : HIDDEN;
        highest0 = fmaxf(highest0, p[j][e]);
        highest1 = fmaxf(highest1, p[j][2 + e]);
      }
    highest0 = fmaxf(highest0, shuffleXor(highest0, 1));
    highest0 = fmaxf(highest0, shuffleXor(highest0, 2));
    highest1 = fmaxf(highest1, shuffleXor(highest1, 1));
    highest1 = fmaxf(highest1, shuffleXor(highest1, 2));
    const float fade0 = exp2Fast(top0 - highest0), fade1 = exp2Fast(top1 - highest1);
    top0 = highest0;
    top1 = highest1;
    total0 *= fade0;
    total1 *= fade1;
#pragma unroll
    for (int j = 0; j < KEY_TILE / 8; j++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        p[j][e] = p[j][e] > HIDDEN ? exp2Fast(p[j][e] - top0) : 0.f;
        p[j][2 + e] = p[j][2 + e] > HIDDEN ? exp2Fast(p[j][2 + e] - top1) : 0.f;
        total0 += p[j][e];
        total1 += p[j][2 + e];
      }
#pragma unroll
    for (int j = 0; j < HEAD_SIZE / 8; j++) {
      sums[j][0] *= fade0;
      sums[j][1] *= fade0;
      sums[j][2] *= fade1;
      sums[j][3] *= fade1;
    }
    addWeighted<KEY_TILE>(sums, p, V + stage * KEY_TILE * ROW_BYTES, lane);
    __syncthreads();
  }
  waitForCopies<0>();
  total0 += shuffleXor(total0, 1);
  total0 += shuffleXor(total0, 2);
  total1 += shuffleXor(total1, 1);
  total1 += shuffleXor(total1, 2);
  y += (tokens * H + head) * HEAD_SIZE;
  storeRows(y, H * HEAD_SIZE, first + warp * 16, length, sums, total0 > 0.f ? 1.f / total0 : 0.f, total1 > 0.f ? 1.f / total1 : 0.f, lane);
  if ((lane & 3) == 0) {
    lse += tokens * H + head;
    if (r0 < length) lse[(i64)r0 * H] = total0 > 0.f ? top0 * LN2 + logf(total0) : 0.f;
    if (r1 < length) lse[(i64)r1 * H] = total1 > 0.f ? top1 * LN2 + logf(total1) : 0.f;
  }
}

/** Grid: blocks of keys, groups, rows. Dynamic shared memory: (256 + 2·BACK_TILE)·ROW_BYTES + 16·BACK_TILE. */
KERNEL(256) flash_backward_key(const half *q, const half *k, const half *v, const half *dy, const int *lo, const int *hi, const float *bias, const float *lse, const float *delta, half *dk, half *dv,
    int length, int keyLength, int H, int G, int queryStride, int keyStride, float scale, float softcap, int causal, int window) {
  DYNAMIC_SHARED(memory);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, row = blockIdx.z, group = blockIdx.y, first = blockIdx.x * ROWS;
  const i64 tokens = (i64)row * length, keys = (i64)row * keyLength * keyStride + group * HEAD_SIZE;
  lo += tokens;
  if (hi) hi += tokens;
  const u32 K = sharedAddress(memory), V = K + ROWS * ROW_BYTES, Q = V + ROWS * ROW_BYTES, D = Q + BACK_TILE * ROW_BYTES;
  float *logSums = (float *)(memory + (2 * ROWS + 2 * BACK_TILE) * ROW_BYTES), *deltas = logSums + BACK_TILE;
  int *froms = (int *)(deltas + BACK_TILE), *tos = froms + BACK_TILE;
  copyTile<ROWS>(K, k + keys, keyStride, first, keyLength);
  copyTile<ROWS>(V, v + keys, keyStride, first, keyLength);
  commitCopies();
  float keySums[HEAD_SIZE / 8][4], valueSums[HEAD_SIZE / 8][4];
#pragma unroll
  for (int j = 0; j < HEAD_SIZE / 8; j++)
#pragma unroll
    for (int e = 0; e < 4; e++) keySums[j][e] = valueSums[j][e] = 0.f;
  const int key = first + warp * 16 + (lane >> 2);
  const int begin = causal ? first / BACK_TILE * BACK_TILE : window > 0 ? larger(0, first - window + 1) / BACK_TILE * BACK_TILE : 0;
  const int end = window > 0 ? smaller(length, first + ROWS + window) : length;
  for (int head = group * (H / G); head < (group + 1) * (H / G); head++) {
    const half *queries = q + tokens * queryStride + head * HEAD_SIZE, *slopes = dy + (tokens * H + head) * HEAD_SIZE;
#if EXTRAS
    const float *own = bias ? bias + (i64)head * (length + keyLength - 1) + length - 1 : bias;
#else
    const float *own = 0;
#endif
    for (int from = begin; from < end; from += BACK_TILE) {
      Range sees = {0, 0};
      if (threadIdx.x < BACK_TILE) sees = rangeOf(lo, hi, from + threadIdx.x, length, causal, window);
      // a barrier too: the tile before is no longer read
      if (!__syncthreads_or(sees.from < sees.to && sees.from < first + ROWS && sees.to > first)) continue;
      copyTile<BACK_TILE>(Q, queries, queryStride, from, length);
      copyTile<BACK_TILE>(D, slopes, H * HEAD_SIZE, from, length);
      commitCopies();
      if (threadIdx.x < BACK_TILE) {
        const int t = from + threadIdx.x;
        const i64 at = (tokens + t) * H + head;
        logSums[threadIdx.x] = t < length ? lse[at] * LOG2E : 0.f;
        deltas[threadIdx.x] = t < length ? delta[at] : 0.f;
        froms[threadIdx.x] = sees.from;
        tos[threadIdx.x] = sees.to;
      }
      waitForCopies<0>();
      __syncthreads();
      float p[BACK_TILE / 8][4], ds[BACK_TILE / 8][4];
      scoresOf<BACK_TILE>(p, K, warp * 16, Q, lane); // transposed: keys are rows
#if EXTRAS
      float bend[BACK_TILE / 8][4];
#endif
#pragma unroll
      for (int j = 0; j < BACK_TILE / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int t = j * 8 + (lane & 3) * 2 + (e & 1), r = key + (e >> 1) * 8;
          float slope = 0.f;
          const bool isSeen = r >= froms[t] && r < tos[t];
          p[j][e] = isSeen ? exp2Fast(scoreOf(p[j][e], scale, softcap, own, r - from - t, &slope) - logSums[t]) : 0.f;
#if EXTRAS
          bend[j][e] = p[j][e] * slope;
#endif
        }
      addWeighted<BACK_TILE>(valueSums, p, D, lane);
      scoresOf<BACK_TILE>(ds, V, warp * 16, D, lane);
#pragma unroll
      for (int j = 0; j < BACK_TILE / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const float pull = ds[j][e] - deltas[j * 8 + (lane & 3) * 2 + (e & 1)];
#if EXTRAS
          ds[j][e] = bend[j][e] * pull;
#else
          ds[j][e] = p[j][e] * pull;
#endif
        }
      addWeighted<BACK_TILE>(keySums, ds, Q, lane);
    }
  }
  waitForCopies<0>();
  storeRows(dk + keys, keyStride, first + warp * 16, keyLength, keySums, LAST_SCALE, LAST_SCALE, lane);
  storeRows(dv + keys, keyStride, first + warp * 16, keyLength, valueSums, 1.f, 1.f, lane);
}

/** Grid: blocks of queries, heads, rows. Dynamic shared memory: (256 + 4·BACK_TILE)·ROW_BYTES. */
KERNEL(256) flash_backward_query(const half *q, const half *k, const half *v, const half *dy, const int *lo, const int *hi, const float *bias, const float *lse, const float *delta, half *dq,
    int length, int keyLength, int H, int G, int queryStride, int keyStride, float scale, float softcap, int causal, int window) {
  DYNAMIC_SHARED(memory);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, row = blockIdx.z, head = blockIdx.y, first = blockIdx.x * ROWS, group = head / (H / G);
  const i64 tokens = (i64)row * length, keys = (i64)row * keyLength;
  lo += tokens;
  if (hi) hi += tokens;
  k += keys * keyStride + group * HEAD_SIZE;
  v += keys * keyStride + group * HEAD_SIZE;
  const i64 from0 = tokens * queryStride + head * HEAD_SIZE;
  const u32 Q = sharedAddress(memory), D = Q + ROWS * ROW_BYTES, K = D + ROWS * ROW_BYTES, V = K + 2 * BACK_TILE * ROW_BYTES;
  const Range range = blockRange(lo, hi, first, length, causal, window, BACK_TILE, (int *)memory);
  const int r0 = first + warp * 16 + (lane >> 2), r1 = r0 + 8;
  const Range sees0 = rangeOf(lo, hi, r0, length, causal, window), sees1 = rangeOf(lo, hi, r1, length, causal, window);
  lse += tokens * H + head;
  delta += tokens * H + head;
  const float log0 = r0 < length ? lse[(i64)r0 * H] * LOG2E : 0.f, log1 = r1 < length ? lse[(i64)r1 * H] * LOG2E : 0.f;
  const float delta0 = r0 < length ? delta[(i64)r0 * H] : 0.f, delta1 = r1 < length ? delta[(i64)r1 * H] : 0.f;
  if (bias) bias += (i64)head * (length + keyLength - 1) + length - 1;
  float sums[HEAD_SIZE / 8][4];
#pragma unroll
  for (int j = 0; j < HEAD_SIZE / 8; j++) sums[j][0] = sums[j][1] = sums[j][2] = sums[j][3] = 0.f;
  if (range.from < range.to) {
    copyTile<ROWS>(Q, q + from0, queryStride, first, length);
    copyTile<ROWS>(D, dy + (tokens * H + head) * HEAD_SIZE, H * HEAD_SIZE, first, length);
    copyTile<BACK_TILE>(K, k, keyStride, range.from, keyLength);
    copyTile<BACK_TILE>(V, v, keyStride, range.from, keyLength);
  }
  commitCopies();
  int stage = 0;
  for (int from = range.from; from < range.to; from += BACK_TILE, stage ^= 1) {
    if (from + BACK_TILE < range.to) {
      copyTile<BACK_TILE>(K + (stage ^ 1) * BACK_TILE * ROW_BYTES, k, keyStride, from + BACK_TILE, keyLength);
      copyTile<BACK_TILE>(V + (stage ^ 1) * BACK_TILE * ROW_BYTES, v, keyStride, from + BACK_TILE, keyLength);
    }
    commitCopies();
    waitForCopies<1>();
    __syncthreads();
    float p[BACK_TILE / 8][4], ds[BACK_TILE / 8][4];
    scoresOf<BACK_TILE>(p, Q, warp * 16, K + stage * BACK_TILE * ROW_BYTES, lane);
    scoresOf<BACK_TILE>(ds, D, warp * 16, V + stage * BACK_TILE * ROW_BYTES, lane);
#pragma unroll
    for (int j = 0; j < BACK_TILE / 8; j++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int key = from + j * 8 + (lane & 3) * 2 + e;
        float slope0, slope1;
        const float score0 = scoreOf(p[j][e], scale, softcap, key >= sees0.from && key < sees0.to ? bias : 0, key - r0, &slope0);
        const float score1 = scoreOf(p[j][2 + e], scale, softcap, key >= sees1.from && key < sees1.to ? bias : 0, key - r1, &slope1);
        ds[j][e] = key >= sees0.from && key < sees0.to ? exp2Fast(score0 - log0) * (ds[j][e] - delta0) * slope0 : 0.f;
        ds[j][2 + e] = key >= sees1.from && key < sees1.to ? exp2Fast(score1 - log1) * (ds[j][2 + e] - delta1) * slope1 : 0.f;
      }
    addWeighted<BACK_TILE>(sums, ds, K + stage * BACK_TILE * ROW_BYTES, lane);
    __syncthreads();
  }
  waitForCopies<0>();
  storeRows(dq + from0, queryStride, first + warp * 16, length, sums, LAST_SCALE, LAST_SCALE, lane);
}
