// Row by row: norms, embeddings, rotations, sums of columns (what each computes: src/tensor/reference/). A warp has a row where
// rows are independent. Gradients of weights are summed in runs of rows and the runs then in their order (sum_rows).

#define WARPS 8

/** The row of this warp; grids are a block for each 8 rows. */
#define ROW ((i64)blockIdx.x * WARPS + (threadIdx.x >> 5))
#define LANE ((int)(threadIdx.x & 31))

template <int W> DEVICE void normRow(const act *x, const float *w, const float *b, act *y, float *mean, float *rstd, i64 row, int C, float epsilon) {
  const int lane = LANE;
  x += row * C;
  y += row * C;
  float level = 0.f, v[4], weight[4], bias[4] = {0.f, 0.f, 0.f, 0.f};
  if (mean) {
    for (int c = lane * W; c < C; c += 32 * W) {
      loadMany<W>(x + c, v);
      for (int e = 0; e < W; e++) level += v[e];
    }
    level = warpSum(level) / C;
  }
  float squares = 0.f;
  for (int c = lane * W; c < C; c += 32 * W) {
    loadMany<W>(x + c, v);
    for (int e = 0; e < W; e++) squares += (v[e] - level) * (v[e] - level);
  }
  const float factor = 1.f / sqrtf(warpSum(squares) / C + epsilon);
  if (lane == 0) {
    rstd[row] = factor;
    if (mean) mean[row] = level;
  }
  for (int c = lane * W; c < C; c += 32 * W) {
    loadMany<W>(x + c, v);
    loadMany<W>(w + c, weight);
    if (b) loadMany<W>(b + c, bias);
    for (int e = 0; e < W; e++) v[e] = (v[e] - level) * factor * weight[e] + bias[e];
    storeMany<W>(y + c, v);
  }
}

/** LayerNorm where mean is not null, else RMSNorm. */
KERNEL(256) norm_forward(const act *x, const float *w, const float *b, act *y, float *mean, float *rstd, int N, int C, float epsilon) {
  if (ROW >= N) return;
  if (C % 4 == 0) normRow<4>(x, w, b, y, mean, rstd, ROW, C, epsilon);
  else normRow<1>(x, w, b, y, mean, rstd, ROW, C, epsilon);
}

template <int W>
DEVICE void normRowBackward(const act *x, const float *w, const float *mean, const float *rstd, const act *dy, act *dx, int adds, i64 row, int C) {
  const int lane = LANE;
  x += row * C;
  dy += row * C;
  dx += row * C;
  const float center = mean ? mean[row] : 0.f, factor = rstd[row];
  float level = 0.f, along = 0.f, v[4], d[4], weight[4], before[4] = {0.f, 0.f, 0.f, 0.f};
  for (int c = lane * W; c < C; c += 32 * W) {
    loadMany<W>(x + c, v);
    loadMany<W>(dy + c, d);
    loadMany<W>(w + c, weight);
    for (int e = 0; e < W; e++) {
      const float g = d[e] * weight[e];
      level += g;
      along += g * (v[e] - center) * factor;
    }
  }
  level = mean ? warpSum(level) / C : 0.f;
  along = warpSum(along) / C;
  for (int c = lane * W; c < C; c += 32 * W) {
    loadMany<W>(x + c, v);
    loadMany<W>(dy + c, d);
    loadMany<W>(w + c, weight);
    if (adds) loadMany<W>(dx + c, before);
    for (int e = 0; e < W; e++) v[e] = before[e] + factor * (d[e] * weight[e] - level - (v[e] - center) * factor * along);
    storeMany<W>(dx + c, v);
  }
}

KERNEL(256) norm_backward(const act *x, const float *w, const float *mean, const float *rstd, const act *dy, act *dx, int adds, int N, int C) {
  if (ROW >= N) return;
  if (C % 4 == 0) normRowBackward<4>(x, w, mean, rstd, dy, dx, adds, ROW, C);
  else normRowBackward<1>(x, w, mean, rstd, dy, dx, adds, ROW, C);
}

/** Adds up eight rows of 32 columns each; threads 0 to 31 get the sums. */
DEVICE float sumOfEight(float v, float (*shared)[33]) {
  const int column = threadIdx.x & 31, row = threadIdx.x >> 5;
  __syncthreads();
  shared[row][column] = v;
  __syncthreads();
  float sum = 0.f;
  if (row == 0)
    for (int i = 0; i < 8; i++) sum += shared[i][column];
  return sum;
}

/** Of runs of `size` rows (blockIdx.y): dw and db of a norm, parts[runs, C] each. */
KERNEL(256) norm_weight_parts(const act *x, const float *mean, const float *rstd, const act *dy, float *dwParts, float *dbParts, int N, int C, int size) {
  SHARED float shared[8][33];
  const int c = blockIdx.x * 32 + (threadIdx.x & 31), from = blockIdx.y * size, to = smaller(N, from + size);
  float dw = 0.f, db = 0.f;
  if (c < C)
    for (int row = from + (threadIdx.x >> 5); row < to; row += 8) {
      const float d = load(dy + (i64)row * C + c), center = mean ? mean[row] : 0.f;
      dw += d * (load(x + (i64)row * C + c) - center) * rstd[row];
      db += d;
    }
  dw = sumOfEight(dw, shared);
  if (dbParts) db = sumOfEight(db, shared);
  if (threadIdx.x < 32 && c < C) {
    dwParts[(i64)blockIdx.y * C + c] = dw;
    if (dbParts) dbParts[(i64)blockIdx.y * C + c] = db;
  }
}

/** Of runs of `size` rows (blockIdx.y): the sum of each column, parts[runs, C]. */
KERNEL(256) column_parts(const act *x, float *parts, int N, int C, int size) {
  SHARED float shared[8][33];
  const int c = blockIdx.x * 32 + (threadIdx.x & 31), from = blockIdx.y * size, to = smaller(N, from + size);
  float sum = 0.f;
  if (c < C)
    for (int row = from + (threadIdx.x >> 5); row < to; row += 8) sum += load(x + (i64)row * C + c);
  sum = sumOfEight(sum, shared);
  if (threadIdx.x < 32 && c < C) parts[(i64)blockIdx.y * C + c] = sum;
}

/** y[C] (+)= the rows of parts[rows, C], in their order. A thread has a column. */
KERNEL(256) sum_rows(const float *parts, int rows, int C, float *y, int adds) {
  const int c = blockIdx.x * 256 + threadIdx.x;
  if (c >= C) return;
  float sum = 0.f;
  for (int row = 0; row < rows; row++) sum += parts[(i64)row * C + c];
  y[c] = adds ? y[c] + sum : sum;
}

template <class T> DEVICE void gather(const int *ids, const T *w, act *y, int N, int C) {
  const i64 row = ROW;
  if (row >= N) return;
  w += (i64)ids[row] * C;
  y += row * C;
  float v[4];
  if (C % 4 == 0)
    for (int c = LANE * 4; c < C; c += 128) {
      loadMany<4>(w + c, v);
      storeMany<4>(y + c, v);
    }
  else
    for (int c = LANE; c < C; c += 32) store(y + c, load(w + c));
}

/** Rows of weights, which are f32, and of an activation. */
KERNEL(256) embedding(const int *ids, const float *w, act *y, int N, int C) { gather(ids, w, y, N, C); }
KERNEL(256) embedding_rows(const int *ids, const act *w, act *y, int N, int C) { gather(ids, w, y, N, C); }

// Tokens in the order of their ids, those of one id in the order of their places: a radix sort of 8 bits a pass, from the lowest
// on, each of which keeps what the ones before it have sorted. order = tokens after the pass before, null before the first. Work
// is linear in tokens (a block compares within its 256), and nothing is added atomically.

#define DIGITS 256

DEVICE int digitOf(int id, int shift) { return (id >> shift) & (DIGITS - 1); }

/** counts[blocks,DIGITS]: how many of a block's 256 tokens have each digit. */
KERNEL(256) digit_counts(const int *ids, const int *order, int *counts, int N, int shift) {
  SHARED int digits[256];
  const int i = blockIdx.x * 256 + threadIdx.x, own = threadIdx.x;
  digits[own] = i < N ? digitOf(ids[order ? order[i] : i], shift) : -1;
  __syncthreads();
  int count = 0;
  for (int j = 0; j < 256; j++) count += digits[j] == own;
  counts[blockIdx.x * DIGITS + own] = count;
}

/** In place: how many tokens come before a block's first of each digit. One block, a thread for each digit. */
KERNEL(256) digit_starts(int *counts, int blocks) {
  SHARED int totals[DIGITS];
  const int own = threadIdx.x;
  int total = 0;
  for (int b = 0; b < blocks; b++) total += counts[b * DIGITS + own];
  totals[own] = total;
  __syncthreads();
  int start = 0;
  for (int digit = 0; digit < own; digit++) start += totals[digit];
  // eight at a time: a load does not wait for the store before it
  for (int from = 0; from < blocks; from += 8) {
    int ahead[8];
    for (int e = 0; e < 8; e++) ahead[e] = from + e < blocks ? counts[(from + e) * DIGITS + own] : 0;
    for (int e = 0; e < 8; e++) {
      if (from + e < blocks) counts[(from + e) * DIGITS + own] = start;
      start += ahead[e];
    }
  }
}

KERNEL(256) digit_sort(const int *ids, const int *order, const int *starts, int *sorted, int N, int shift) {
  SHARED int digits[256];
  const int i = blockIdx.x * 256 + threadIdx.x, own = threadIdx.x;
  const int token = i >= N ? 0 : order ? order[i] : i, digit = i < N ? digitOf(ids[token], shift) : -1;
  digits[own] = digit;
  __syncthreads();
  if (i >= N) return;
  int place = starts[blockIdx.x * DIGITS + digit];
  for (int j = 0; j < own; j++) place += digits[j] == digit;
  sorted[place] = token;
}

/** A block has the tokens of one id, found by the first of them, and adds them to its row in their order. */
template <class T> DEVICE void scatter(const int *ids, const int *order, const act *dy, T *dw, int N, int C) {
  const int first = blockIdx.x, id = ids[order[first]];
  if (first > 0 && ids[order[first - 1]] == id) return;
  for (int c = threadIdx.x; c < C; c += 256) {
    float sum = 0.f;
    for (int r = first; r < N; r++) {
      const int token = order[r];
      if (ids[token] != id) break;
      sum += load(dy + (i64)token * C + c);
    }
    store(dw + (i64)id * C + c, load(dw + (i64)id * C + c) + sum);
  }
}

KERNEL(256) embedding_backward(const int *ids, const int *order, const act *dy, float *dw, int N, int C) { scatter(ids, order, dy, dw, N, C); }
KERNEL(256) embedding_rows_backward(const int *ids, const int *order, const act *dy, act *dw, int N, int C) { scatter(ids, order, dy, dw, N, C); }

/** Rotates pairs (d, d + D/2) of the first `heads` heads, in place; turn −1 turns back. A warp has a token. */
KERNEL(256) rope(act *x, int width, const int *positions, const float *cosines, const float *sines, int N, int heads, int D, float turn) {
  const i64 row = ROW;
  if (row >= N) return;
  const int half = D / 2;
  const i64 table = (i64)positions[row] * half;
  for (int i = LANE; i < heads * half; i += 32) {
    const int head = i / half, d = i % half;
    act *p = x + row * width + head * D + d;
    const float cosine = cosines[table + d], sine = sines[table + d] * turn, a = load(p), b = load(p + half);
    store(p, a * cosine - b * sine);
    store(p + half, b * cosine + a * sine);
  }
}

/** A warp has a head of a token; values pass through. */
KERNEL(256) head_norm(const act *qkv, const float *wq, const float *wk, act *y, float *rstd, int N, int H, int G, int D, float epsilon) {
  const i64 item = ROW;
  const int stride = H + 2 * G, head = (int)(item % stride);
  const i64 token = item / stride;
  if (token >= N) return;
  qkv += item * D;
  y += item * D;
  if (head >= H + G) {
    for (int d = LANE; d < D; d += 32) y[d] = qkv[d];
    return;
  }
  float squares = 0.f;
  for (int d = LANE; d < D; d += 32) squares += load(qkv + d) * load(qkv + d);
  const float factor = 1.f / sqrtf(warpSum(squares) / D + epsilon), *w = head < H ? wq : wk;
  if (LANE == 0) rstd[token * (H + G) + head] = factor;
  for (int d = LANE; d < D; d += 32) store(y + d, load(qkv + d) * factor * w[d]);
}

KERNEL(256) head_norm_backward(const act *qkv, const float *wq, const float *wk, const float *rstd, const act *dy, act *dqkv, int adds, int N, int H, int G, int D) {
  const i64 item = ROW;
  const int stride = H + 2 * G, head = (int)(item % stride);
  const i64 token = item / stride;
  if (token >= N) return;
  qkv += item * D;
  dy += item * D;
  dqkv += item * D;
  if (head >= H + G) {
    for (int d = LANE; d < D; d += 32) store(dqkv + d, load(dy + d) + (adds ? load(dqkv + d) : 0.f));
    return;
  }
  const float factor = rstd[token * (H + G) + head], *w = head < H ? wq : wk;
  float along = 0.f;
  for (int d = LANE; d < D; d += 32) along += load(dy + d) * w[d] * load(qkv + d) * factor;
  along = warpSum(along) / D;
  for (int d = LANE; d < D; d += 32) {
    const float slope = factor * (load(dy + d) * w[d] - load(qkv + d) * factor * along);
    store(dqkv + d, slope + (adds ? load(dqkv + d) : 0.f));
  }
}

/** Of runs of `size` tokens (blockIdx.x): dwq where blockIdx.y is 0, dwk where it is 1; parts[runs, D]. A thread has a column. */
KERNEL(256) head_norm_weight_parts(const act *qkv, const float *rstd, const act *dy, float *queryParts, float *keyParts, int N, int H, int G, int D, int size) {
  const int from = blockIdx.x * size, to = smaller(N, from + size), stride = H + 2 * G;
  const int firstHead = blockIdx.y == 0 ? 0 : H, lastHead = blockIdx.y == 0 ? H : H + G;
  float *parts = (blockIdx.y == 0 ? queryParts : keyParts) + (i64)blockIdx.x * D;
  for (int d = threadIdx.x; d < D; d += 256) {
    float sum = 0.f;
    for (int token = from; token < to; token++)
      for (int head = firstHead; head < lastHead; head++) {
        const i64 at = ((i64)token * stride + head) * D + d;
        sum += load(dy + at) * load(qkv + at) * rstd[(i64)token * (H + G) + head];
      }
    parts[d] = sum;
  }
}

/** As src/tensor/relative-bucket.ts: the logarithm in f64, then rounded, so that every distance falls where it does there. */
DEVICE int bucketOf(int distance, int buckets, int bidirectional, float span) {
  const int own = bidirectional ? buckets / 2 : buckets, exact = own / 2, first = bidirectional && distance > 0 ? own : 0;
  const int reach = bidirectional ? (distance < 0 ? -distance : distance) : larger(0, -distance);
  if (reach < exact) return first + reach;
  const float share = (float)log((double)((float)reach / (float)exact)) / span;
  return first + smaller(own - 1, exact + (int)(share * (float)(own - exact)));
}

/** A thread has an element of y[H, columns]. */
KERNEL(256) relative_bias(const float *w, float *y, int length, int columns, int buckets, int H, int bidirectional, float span) {
  const int i = blockIdx.x * 256 + threadIdx.x;
  if (i >= H * columns) return;
  y[i] = w[bucketOf(i % columns + 1 - length, buckets, bidirectional, span) * H + i / columns];
}

/** A warp has an element of dw[buckets, H]. */
KERNEL(256) relative_bias_backward(float *dw, const float *dy, int length, int columns, int buckets, int H, int bidirectional, float span, int adds) {
  const int item = (int)ROW, bucket = item / H, head = item % H;
  if (item >= buckets * H) return;
  float sum = 0.f;
  for (int i = LANE; i < columns; i += 32)
    if (bucketOf(i + 1 - length, buckets, bidirectional, span) == bucket) sum += dy[(i64)head * columns + i];
  sum = warpSum(sum);
  if (LANE == 0) dw[item] = adds ? dw[item] + sum : sum;
}
