// Stands in for NVIDIA's driver and cuBLASLt: memory of the device is memory of the host, a module's image is the path of an
// emulator's library, and what is asked for happens at once, or when its graph is launched.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <string>
#include <vector>
#include "halves.h"

#define API extern "C" __attribute__((visibility("default")))
typedef uint64_t u64;
typedef const char *(*Emulate)(const char *, unsigned *, u64 *, int);
struct Function { std::string name; Emulate emulate; };
typedef std::function<int()> Work;
static std::vector<Work> *captured = nullptr;
static int graphLaunches = 0;
static int isLost = 0;

static int ask(Work work) {
  if (isLost) return 719;
  if (!captured) return work();
  captured->push_back(work);
  return 0;
}

static int numberFrom(const char *name, int otherwise) { const char *given = getenv(name); return given ? atoi(given) : otherwise; }

API int cuInit(unsigned) { return numberFrom("STUB_INIT_RESULT", 0); }
API int cuGetErrorName(int code, const char **out) { *out = code == 100 ? "CUDA_ERROR_NO_DEVICE" : code == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_LAUNCH_FAILED"; return 0; }
API int cuDeviceGet(int *out, int ordinal) { *out = ordinal; return 0; }
API int cuDeviceGetName(char *out, int size, int) { snprintf(out, size, "stub"); return 0; }
API int cuDeviceTotalMem_v2(u64 *out, int) { *out = 1ull << 30; return 0; }
API int cuDeviceGetAttribute(int *out, int which, int) { const int capability = numberFrom("STUB_CAPABILITY", 90); *out = which == 75 ? capability / 10 : capability % 10; return 0; }
API int cuDevicePrimaryCtxRetain(u64 *out, int) { *out = 1; return 0; }
API int cuDevicePrimaryCtxRelease_v2(int) { return 0; }
API int cuCtxSetCurrent(u64) { return 0; }
API int cuMemGetInfo_v2(u64 *free, u64 *total) { const char *given = getenv("STUB_FREE_BYTES"); *total = 1ull << 30; *free = given ? strtoull(given, nullptr, 10) : *total; return 0; }
API int cuMemAlloc_v2(u64 *out, size_t bytes) {
  void *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!memory) return 2;
  memset(memory, 0xff, bytes); // NaN
  *out = u64(memory);
  return 0;
}
API int cuMemFree_v2(u64 address) { free((void *)address); return isLost ? 719 : 0; }
API int cuModuleLoadData(u64 *out, const char *image) {
  void *library = dlopen(image, RTLD_NOW);
  if (!library) return 209;
  *out = u64(library);
  return 0;
}
API int cuModuleGetFunction(u64 *out, u64 module, const char *name) {
  *out = u64(new Function{name, Emulate(dlsym((void *)module, "emulate"))});
  return 0;
}
API int cuFuncSetAttribute(u64, int, int) { return 0; }
API int cuLaunchKernel(u64 function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, u64, u64 **parameters, void **) {
  std::vector<u64> slots; // a driver, too, copies them when it is asked
  for (u64 **parameter = parameters; *parameter; parameter++) slots.push_back(**parameter);
  const Function &entry = *(Function *)function;
  return ask([=]() mutable {
    unsigned dimensions[] = {gx, gy, gz, bx, by, bz, shared};
    const char *problem = entry.emulate(entry.name.c_str(), dimensions, slots.data(), int(slots.size()));
    if (problem) fprintf(stderr, "%s: %s\n", entry.name.c_str(), problem);
    return problem ? 719 : 0;
  });
}
API int cuMemcpyHtoDAsync_v2(u64 to, const void *from, size_t bytes, u64) { if (isLost) return 719; memcpy((void *)to, from, bytes); return captured ? 900 : 0; }
API int cuMemcpyDtoHAsync_v2(void *to, u64 from, size_t bytes, u64) { if (isLost) return 719; memcpy(to, (void *)from, bytes); return captured ? 900 : 0; }
API int cuMemsetD8Async(u64 to, unsigned char value, size_t bytes, u64) { return ask([=] { memset((void *)to, value, bytes); return 0; }); }
API int cuMemsetD32Async(u64 to, unsigned word, size_t count, u64) {
  return ask([=] { for (size_t i = 0; i < count; i++) ((unsigned *)to)[i] = word; return 0; });
}
API int cuStreamCreate(u64 *out, unsigned) { *out = 7; return 0; }
API int cuStreamDestroy_v2(u64) { return 0; }
API int cuStreamSynchronize(u64) { return captured ? 900 : 0; }
API int cuStreamBeginCapture_v2(u64, int) { captured = new std::vector<Work>(); return 0; }
API int cuStreamEndCapture(u64, u64 *out) { *out = u64(captured); captured = nullptr; return 0; }
API int cuGraphInstantiateWithFlags(u64 *out, u64 graph, u64) { *out = graph; return 0; }
API int cuGraphLaunch(u64 graph, u64) {
  if (isLost) return 719;
  graphLaunches++;
  for (Work &work : *(std::vector<Work> *)graph) if (int result = work()) return result;
  return 0;
}
/** Of this stub alone. A lost GPU fails whatever it is asked. */
API int stubGraphLaunches() { return graphLaunches; }
API int stubLose(int lost) { isLost = lost; return 0; }

struct Layout { int type; u64 rows, columns; int64_t stride; };
struct Descriptor { int transposeA = 0, transposeB = 0, epilogue = 1, biasType = 0; u64 bias = 0; };

/** By cudaDataType: 0 f32, 2 f16, 14 bf16. */
static float load(int type, u64 base, u64 index) {
  if (type == 0) return ((float *)base)[index];
  const unsigned bits = ((uint16_t *)base)[index];
  return type == 2 ? fromF16(bits) : fromBf16(bits);
}
static void store(int type, u64 base, u64 index, float value) {
  if (type == 0) ((float *)base)[index] = value;
  else ((uint16_t *)base)[index] = type == 2 ? toF16(value) : toBf16(value);
}

API size_t cublasLtGetVersion() { return 130000; }
API int cublasLtCreate(u64 *out) { *out = 3; return 0; }
API int cublasLtDestroy(u64) { return 0; }
API int cublasLtMatmulPreferenceCreate(u64 *out) { *out = 4; return 0; }
API int cublasLtMatmulPreferenceSetAttribute(u64, int which, const void *, size_t size) { return which == 1 && size == 8 ? 0 : 7; }
API int cublasLtMatmulDescCreate(u64 *out, int compute, int scale) { *out = u64(new Descriptor()); return compute == 68 && scale == 0 ? 0 : 7; }
API int cublasLtMatmulDescSetAttribute(u64 descriptor, int which, const void *value, size_t size) {
  Descriptor &d = *(Descriptor *)descriptor;
  void *to = which == 3 ? (void *)&d.transposeA : which == 4 ? (void *)&d.transposeB : which == 7 ? (void *)&d.epilogue : which == 8 ? (void *)&d.bias : which == 26 ? (void *)&d.biasType : nullptr;
  if (!to || size != (which == 8 ? 8 : 4)) return 7;
  memcpy(to, value, size);
  return 0;
}
API int cublasLtMatrixLayoutCreate(u64 *out, int type, u64 rows, u64 columns, int64_t stride) {
  *out = u64(new Layout{type, rows, columns, stride});
  return u64(stride) >= rows ? 0 : 7;
}
API int cublasLtMatmulAlgoGetHeuristic(u64, u64 descriptor, u64 a, u64 b, u64 c, u64, u64, int, void *, int *count) {
  const Descriptor &d = *(Descriptor *)descriptor;
  const Layout &A = *(Layout *)a, &B = *(Layout *)b, &C = *(Layout *)c;
  const u64 m = d.transposeA ? A.columns : A.rows, k = d.transposeA ? A.rows : A.columns;
  const u64 k2 = d.transposeB ? B.columns : B.rows, n = d.transposeB ? B.rows : B.columns;
  *count = m == C.rows && n == C.columns && k == k2 && A.type == B.type;
  return 0;
}
API int cublasLtMatmul(u64, u64 descriptor, const float *alpha, u64 a, u64 aLayout, u64 b, u64 bLayout, const float *beta, u64 c, u64, u64 out, u64 outLayout, const void *, u64, size_t, u64) {
  const Descriptor d = *(Descriptor *)descriptor;
  const Layout A = *(Layout *)aLayout, B = *(Layout *)bLayout, D = *(Layout *)outLayout;
  const float scale = *alpha, kept = *beta;
  return ask([=] {
    const u64 depth = d.transposeA ? A.rows : A.columns;
    for (u64 j = 0; j < D.columns; j++)
      for (u64 i = 0; i < D.rows; i++) {
        double sum = 0;
        for (u64 k = 0; k < depth; k++)
          sum += double(load(A.type, a, d.transposeA ? i * A.stride + k : k * A.stride + i)) * load(B.type, b, d.transposeB ? k * B.stride + j : j * B.stride + k);
        sum *= scale;
        if (kept != 0) sum += kept * load(D.type, c, j * D.stride + i);
        if (d.epilogue == 4) sum += load(d.biasType, d.bias, i);
        store(D.type, out, j * D.stride + i, float(sum));
      }
    return 0;
  });
}
