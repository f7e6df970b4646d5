// bf16 and f16 as their bits, rounded to nearest, ties to even.

#include <cstring>

static inline float floatOf(unsigned bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
static inline unsigned bitsOf(float value) {
  unsigned bits;
  memcpy(&bits, &value, 4);
  return bits;
}

static inline float fromBf16(unsigned bits) { return floatOf(bits << 16); }
static inline unsigned toBf16(float value) {
  const unsigned bits = bitsOf(value);
  return value != value ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static inline float fromF16(unsigned bits) {
  const unsigned sign = (bits & 0x8000) << 16, size = bits & 0x7fff;
  if (size >= 0x7c00) return floatOf(sign | 0x7f800000 | (size & 0x3ff) << 13);
  if (size < 0x400) return floatOf(sign | bitsOf(float(size) * 0x1p-24f));
  return floatOf(sign | (size << 13) + (112u << 23));
}
static inline unsigned toF16(float value) {
  const unsigned all = bitsOf(value), sign = all >> 16 & 0x8000, size = all & 0x7fffffff;
  if (size > 0x7f800000) return 0x7fff;
  if (size >= 0x477ff000) return sign | 0x7c00; // 65,520 and more round to infinity
  if (size < 0x38800000) return sign | (bitsOf(floatOf(size) + 0.5f) - bitsOf(0.5f)); // below 2^-14: the sum rounds
  return sign | (size - (112u << 23) + 0xfff + (size >> 13 & 1)) >> 13;
}
