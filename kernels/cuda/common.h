// What all kernels share. No header is included: NVRTC compiles this, prepended to a source, without a path to look in.
// ACT is float or half: how activations and their gradients are kept; a half is a bf16, or an f16 where F16 is 1. Sums are f32.
// Blocks have 256 threads where nothing else is said. No atomics on floats: the same input gives the same bits.

typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned long long u64;
typedef long long i64;

struct half {
  u16 bits;
};

#if F16
#define HALF "f16"
#else
#define HALF "bf16"
#endif

#ifndef EMULATED
#define DEVICE __device__ __forceinline__
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
#define SHARED __shared__
#define DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
DEVICE float exp2Fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/** Two floats rounded to halves, the first in the lower bits. */
DEVICE u32 pack(float low, float high) {
  u32 r;
  asm("cvt.rn." HALF "x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
DEVICE float shuffleXor(float v, int mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
DEVICE float shuffleFrom(float v, int lane) { return __shfl_sync(0xffffffffu, v, lane); }
DEVICE float bitsToFloat(u32 bits) { return __uint_as_float(bits); }
/** The half in the lower bits. */
DEVICE float widen(u32 bits) {
#if F16
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"((u16)bits));
  return y;
#else
  return bitsToFloat(bits << 16);
#endif
}
#endif

#define LOG2E 1.4426950408889634f
#define LN2 0.6931471805599453f

typedef ACT act;

DEVICE int smaller(int a, int b) { return a < b ? a : b; }
DEVICE int larger(int a, int b) { return a > b ? a : b; }

DEVICE float load(const float *p) { return *p; }
DEVICE float load(const half *p) { return widen(p->bits); }
DEVICE void store(float *p, float v) { *p = v; }
DEVICE void store(half *p, float v) { p->bits = (u16)pack(v, 0.f); }

struct __attribute__((aligned(16))) Words4 {
  u32 x, y, z, w;
};
struct __attribute__((aligned(8))) Words2 {
  u32 x, y;
};

/** W (1 or 4) neighbours; four of them begin at a multiple of their size. */
template <int W> DEVICE void loadMany(const float *p, float *v) {
  if (W == 4) {
    const Words4 words = *(const Words4 *)p;
    v[0] = bitsToFloat(words.x), v[1] = bitsToFloat(words.y), v[2] = bitsToFloat(words.z), v[3] = bitsToFloat(words.w);
  } else v[0] = *p;
}
template <int W> DEVICE void loadMany(const half *p, float *v) {
  if (W == 4) {
    const Words2 words = *(const Words2 *)p;
    v[0] = widen(words.x), v[1] = widen(words.x >> 16), v[2] = widen(words.y), v[3] = widen(words.y >> 16);
  } else v[0] = load(p);
}
template <int W> DEVICE void storeMany(float *p, const float *v) {
  if (W == 4) {
    struct __attribute__((aligned(16))) Floats4 {
      float x, y, z, w;
    };
    const Floats4 floats = {v[0], v[1], v[2], v[3]};
    *(Floats4 *)p = floats;
  } else *p = v[0];
}
template <int W> DEVICE void storeMany(half *p, const float *v) {
  if (W == 4) {
    const Words2 words = {pack(v[0], v[1]), pack(v[2], v[3])};
    *(Words2 *)p = words;
  } else store(p, v[0]);
}

DEVICE float warpSum(float v) {
#pragma unroll
  for (int mask = 16; mask; mask >>= 1) v += shuffleXor(v, mask);
  return v;
}
DEVICE float warpMax(float v) {
#pragma unroll
  for (int mask = 16; mask; mask >>= 1) v = fmaxf(v, shuffleXor(v, mask));
  return v;
}

/** Of a block of 256 threads; every thread gets it. `shared` holds 8 floats. */
DEVICE float blockSum(float v, float *shared) {
  v = warpSum(v);
  __syncthreads();
  if ((threadIdx.x & 31) == 0) shared[threadIdx.x >> 5] = v;
  __syncthreads();
  float sum = 0.f;
#pragma unroll
  for (int i = 0; i < 8; i++) sum += shared[i];
  return sum;
}
DEVICE float blockMax(float v, float *shared) {
  v = warpMax(v);
  __syncthreads();
  if ((threadIdx.x & 31) == 0) shared[threadIdx.x >> 5] = v;
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 8; i++) v = fmaxf(v, shared[i]);
  return v;
}
