// Element by element: activations, gates, sums, and the updates of weights (what each computes: src/tensor/reference/).
// A thread takes four neighbours at a time; grids are a block for each 1,024 elements.

struct Curve {
  float value, slope;
};

/** Kinds are indexes of ACTIVATIONS in src/tensor/operations.ts. */
DEVICE Curve curveOf(int kind, float x) {
  Curve c;
  if (kind == 0) { // gelu_tanh
    const float inner = 0.7978845608028654f * x * (1.f + 0.044715f * x * x), t = tanhf(inner);
    c.value = 0.5f * x * (1.f + t);
    c.slope = 0.5f * (1.f + t) + 0.5f * x * (1.f - t * t) * 0.7978845608028654f * (1.f + 0.134145f * x * x);
  } else if (kind == 1) { // silu
    const float s = 1.f / (1.f + expf(-x));
    c.value = x * s;
    c.slope = s * (1.f + x * (1.f - s));
  } else if (kind == 2) { // relu2
    const float r = fmaxf(x, 0.f);
    c.value = r * r;
    c.slope = 2.f * r;
  } else if (kind == 3) { // gelu; the complement keeps the tail's digits
    const float normal = 0.5f * erfcf(-0.7071067811865476f * x);
    c.value = x * normal;
    c.slope = normal + x * 0.3989422804014327f * expf(-0.5f * x * x);
  } else if (kind == 4) { // relu
    c.value = fmaxf(x, 0.f);
    c.slope = x > 0.f ? 1.f : 0.f;
  } else {
    const float t = tanhf(x);
    c.value = t;
    c.slope = 1.f - t * t;
  }
  return c;
}

/** Does what follows with `at` and W = 4, and for the last few elements W = 1. */
#define EACH_FOUR(n, ...)                                                                                                       \
  for (i64 at = ((i64)blockIdx.x * 256 + threadIdx.x) * 4; at < (n); at += (i64)gridDim.x * 1024) {                            \
    if (at + 4 <= (n)) {                                                                                                       \
      enum { W = 4 };                                                                                                          \
      __VA_ARGS__                                                                                                                     \
    } else                                                                                                                     \
      for (; at < (n); at++) {                                                                                                 \
        enum { W = 1 };                                                                                                        \
        __VA_ARGS__                                                                                                                   \
      }                                                                                                                        \
  }

KERNEL(256) activation(const act *x, act *y, int n, int kind) {
  EACH_FOUR(n, {
    float v[4];
    loadMany<W>(x + at, v);
    for (int e = 0; e < W; e++) v[e] = curveOf(kind, v[e]).value;
    storeMany<W>(y + at, v);
  })
}

KERNEL(256) activation_backward(const act *x, const act *dy, act *dx, int adds, int n, int kind) {
  EACH_FOUR(n, {
    float v[4], d[4], before[4] = {0.f, 0.f, 0.f, 0.f};
    loadMany<W>(x + at, v);
    loadMany<W>(dy + at, d);
    if (adds) loadMany<W>(dx + at, before);
    for (int e = 0; e < W; e++) v[e] = before[e] + d[e] * curveOf(kind, v[e]).slope;
    storeMany<W>(dx + at, v);
  })
}

template <int W> DEVICE void gatedRows(const act *x, act *y, i64 n, int F, int kind) {
  for (i64 at = ((i64)blockIdx.x * 256 + threadIdx.x) * W; at < n; at += (i64)gridDim.x * 256 * W) {
    const i64 gate = at / F * F + at;
    float g[4], up[4];
    loadMany<W>(x + gate, g);
    loadMany<W>(x + gate + F, up);
    for (int e = 0; e < W; e++) g[e] = curveOf(kind, g[e]).value * up[e];
    storeMany<W>(y + at, g);
  }
}

KERNEL(256) gated(const act *x, act *y, int rows, int F, int kind) {
  if (F % 4 == 0) gatedRows<4>(x, y, (i64)rows * F, F, kind);
  else gatedRows<1>(x, y, (i64)rows * F, F, kind);
}

template <int W> DEVICE void gatedRowsBackward(const act *x, const act *dy, act *dx, int adds, i64 n, int F, int kind) {
  for (i64 at = ((i64)blockIdx.x * 256 + threadIdx.x) * W; at < n; at += (i64)gridDim.x * 256 * W) {
    const i64 gate = at / F * F + at;
    float g[4], up[4], d[4], dg[4] = {0.f, 0.f, 0.f, 0.f}, du[4] = {0.f, 0.f, 0.f, 0.f};
    loadMany<W>(x + gate, g);
    loadMany<W>(x + gate + F, up);
    loadMany<W>(dy + at, d);
    if (adds) {
      loadMany<W>(dx + gate, dg);
      loadMany<W>(dx + gate + F, du);
    }
    for (int e = 0; e < W; e++) {
      const Curve c = curveOf(kind, g[e]);
      dg[e] += d[e] * c.slope * up[e];
      du[e] += d[e] * c.value;
    }
    storeMany<W>(dx + gate, dg);
    storeMany<W>(dx + gate + F, du);
  }
}

KERNEL(256) gated_backward(const act *x, const act *dy, act *dx, int adds, int rows, int F, int kind) {
  if (F % 4 == 0) gatedRowsBackward<4>(x, dy, dx, adds, (i64)rows * F, F, kind);
  else gatedRowsBackward<1>(x, dy, dx, adds, (i64)rows * F, F, kind);
}

KERNEL(256) scale(const act *x, act *y, int adds, int n, float factor) {
  EACH_FOUR(n, {
    float v[4], before[4] = {0.f, 0.f, 0.f, 0.f};
    loadMany<W>(x + at, v);
    if (adds) loadMany<W>(y + at, before);
    for (int e = 0; e < W; e++) v[e] = before[e] + factor * v[e];
    storeMany<W>(y + at, v);
  })
}

/** y = a + b, or a alone where b is null. */
KERNEL(256) add(const act *a, const act *b, act *y, int n) {
  EACH_FOUR(n, {
    float v[4], w[4] = {0.f, 0.f, 0.f, 0.f};
    loadMany<W>(a + at, v);
    if (b) loadMany<W>(b + at, w);
    for (int e = 0; e < W; e++) v[e] += w[e];
    storeMany<W>(y + at, v);
  })
}

KERNEL(256) cast(const float *x, half *y, int n) {
  EACH_FOUR(n, {
    float v[4];
    loadMany<W>(x + at, v);
    storeMany<W>(y + at, v);
  })
}

/** Of a block of 256 threads; the first gets it. */
DEVICE double blockSumOfDoubles(double own, double *shared) {
  shared[threadIdx.x] = own;
  for (int reach = 128; reach; reach >>= 1) {
    __syncthreads();
    if (threadIdx.x < reach) shared[threadIdx.x] += shared[threadIdx.x + reach];
  }
  return shared[0];
}

/** Sums of squares of runs of `size` elements, a block a run, in f64 and always in the same order. */
KERNEL(256) square_sum(const float *x, double *partials, int n, int size) {
  SHARED double shared[256];
  const i64 from = (i64)blockIdx.x * size, to = from + size < n ? from + size : n;
  double sum = 0;
  for (i64 i = from + threadIdx.x; i < to; i += 256) sum += (double)x[i] * x[i];
  sum = blockSumOfDoubles(sum, shared);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

/** sum += the losses, in f64 and always in the same order. One block. */
KERNEL(256) loss_sum(const float *losses, double *sum, int n) {
  SHARED double shared[256];
  double own = 0;
  for (int i = threadIdx.x; i < n; i += 256) own += losses[i];
  own = blockSumOfDoubles(own, shared);
  if (threadIdx.x == 0) *sum += own;
}

/**
 * Whether an update is made: gate = [what gradients are scaled with, 1 or 0], of the sum of losses, which is cleared, and the
 * sums of squares of gradients. limits: what the loss was divided by, what it was multiplied with, the largest loss and the
 * largest norm that are taken (neither NaN), and the norm that gradients are clipped to, or 0. report = [sum of losses, norm,
 * 0, or 1 where the loss shuts the gate, 2 where the norm does]. One block.
 */
KERNEL(256) gate(const double *squares, int parts, double *lossSum, const double *limits, float *gate, double *report) {
  SHARED double shared[256];
  double own = 0;
  for (int i = threadIdx.x; i < parts; i += 256) own += squares[i];
  own = blockSumOfDoubles(own, shared);
  if (threadIdx.x != 0) return;
  const double norm = sqrt(own) / limits[1], most = limits[4];
  const int shut = !(*lossSum / limits[0] <= limits[2]) ? 1 : !(norm <= limits[3]) ? 2 : 0;
  gate[0] = (float)((most > 0 && norm > most ? most / norm : 1) / limits[1]);
  gate[1] = shut ? 0.f : 1.f;
  report[0] = *lossSum;
  report[1] = norm;
  report[2] = shut;
  *lossSum = 0;
}

DEVICE bool isShut(const float *gate) { return gate && gate[1] == 0.f; }

/**
 * AdamW with decoupled decay. hyper: rate, beta1, beta2, epsilon, decay, scale of the gradient,
 * 1/(1 − beta1^t), 1/(1 − beta2^t), 1 − beta1, 1 − beta2: in device memory, so that a captured graph never changes. What
 * a gate keeps shut moves nothing; a gate that is open multiplies the gradient's scale.
 */
KERNEL(256) adamw(float *parameter, const float *gradient, float *first, float *second, half *copy, int n, int decays, const float *hyper, const float *gate) {
  if (isShut(gate)) return;
  const float rate = hyper[0], beta1 = hyper[1], beta2 = hyper[2], epsilon = hyper[3], scaling = gate ? hyper[5] * gate[0] : hyper[5];
  const float keep = 1.f - rate * (decays ? hyper[4] : 0.f), correct1 = hyper[6], correct2 = hyper[7], new1 = hyper[8], new2 = hyper[9];
  EACH_FOUR(n, {
    float w[4], g[4], m[4], v[4];
    loadMany<W>(parameter + at, w);
    loadMany<W>(gradient + at, g);
    loadMany<W>(first + at, m);
    loadMany<W>(second + at, v);
    for (int e = 0; e < W; e++) {
      const float slope = g[e] * scaling;
      m[e] = beta1 * m[e] + new1 * slope;
      v[e] = beta2 * v[e] + new2 * slope * slope;
      w[e] = w[e] * keep - rate * (m[e] * correct1) / (sqrtf(v[e] * correct2) + epsilon);
    }
    storeMany<W>(parameter + at, w);
    storeMany<W>(first + at, m);
    storeMany<W>(second + at, v);
    if (copy) storeMany<W>(copy + at, w);
  })
}

/** Nesterov momentum, hyper[10]. */
KERNEL(256) muon_momentum(const float *gradient, float *momentum, float *x, int n, const float *hyper, const float *gate) {
  if (isShut(gate)) return;
  const float keep = hyper[10], fresh = (1.f - keep) * (gate ? hyper[5] * gate[0] : hyper[5]);
  EACH_FOUR(n, {
    float g[4], m[4];
    loadMany<W>(gradient + at, g);
    loadMany<W>(momentum + at, m);
    for (int e = 0; e < W; e++) {
      g[e] *= fresh;
      m[e] = keep * m[e] + g[e];
      g[e] += keep * m[e];
    }
    storeMany<W>(momentum + at, m);
    storeMany<W>(x + at, g);
  })
}

/** x /= √(Σ squares) + 1e-7. A matrix may begin anywhere in its block, so one element at a time. */
KERNEL(256) normalize(float *x, const double *squares, int parts, int n) {
  double sum = 0;
  for (int i = 0; i < parts; i++) sum += squares[i];
  const float factor = (float)(1 / (sqrt(sum) + 1e-7));
  for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < n; i += (i64)gridDim.x * 256) x[i] *= factor;
}

/** y = a·I + b·x + c·y of square matrices. */
KERNEL(256) polynomial(const float *x, float *y, int side, float a, float b, float c) {
  for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < (i64)side * side; i += (i64)gridDim.x * 256)
    y[i] = b * x[i] + c * y[i] + (i / side == i % side ? a : 0.f);
}

KERNEL(256) muon_update(float *parameter, const float *x, half *copy, int n, int decays, const float *hyper, const float *gate) {
  if (isShut(gate)) return;
  const float rate = hyper[0], keep = 1.f - rate * (decays ? hyper[4] : 0.f);
  EACH_FOUR(n, {
    float w[4], step[4];
    loadMany<W>(parameter + at, w);
    loadMany<W>(x + at, step);
    for (int e = 0; e < W; e++) w[e] = w[e] * keep - rate * step[e];
    storeMany<W>(parameter + at, w);
    if (copy) storeMany<W>(copy + at, w);
  })
}

KERNEL(256) average(const float *parameter, float *mean, int n, const float *hyper, const float *gate) {
  if (isShut(gate)) return;
  const float share = hyper[11];
  EACH_FOUR(n, {
    float w[4], before[4];
    loadMany<W>(parameter + at, w);
    loadMany<W>(mean + at, before);
    for (int e = 0; e < W; e++) w[e] = before[e] + share * (w[e] - before[e]);
    storeMany<W>(mean + at, w);
  })
}
