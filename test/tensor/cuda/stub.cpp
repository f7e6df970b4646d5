// Stands in for NVIDIA's driver and cuBLASLt: memory of the device is memory of the host, a module's image is the path of an
// emulator's library. What is asked for happens as late as it may: when the host waits for it, or when another stream does that
// the host waits for. Whoever overwrites what has not been read then gets wrong numbers.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <string>
#include <vector>
#include "halves.h"

#define API extern "C" __attribute__((visibility("default")))
typedef uint64_t u64;
typedef const char *(*Emulate)(const char *, unsigned *, u64 *, int);
struct Function { std::string name; Emulate emulate; };
typedef std::function<int()> Work;
struct Stream { std::deque<Work> waiting; u64 asked = 0, done = 0; };
/** Passed when its stream has done so much. */
struct Event { Stream *stream = nullptr; u64 at = 0; double time = 0; };
static std::vector<Work> *captured = nullptr;
static int graphLaunches = 0;
/** Milliseconds that all has taken so far. */
static double clockTime = 0;
static int isLost = 0;
/** Kernels and products that have run, and how often the host waited while some did. */
static int computed = 0, waits = 0;
static std::map<u64, size_t> pinned;
static std::string calls;
static std::map<u64, int> names;

/** Streams and events are told in the order in which they were first used. */
static void note(const char *what, u64 stream, u64 event = 0) {
  for (u64 each : {stream, event}) if (each && !names.count(each)) names.emplace(each, int(names.size()));
  calls += std::string(what) + " " + std::to_string(names[stream]) + (event ? " " + std::to_string(names[event]) : "") + "\n";
}

static int ask(u64 stream, Work work) {
  if (isLost) return 719;
  if (captured) { captured->push_back(work); return 0; }
  Stream &own = *(Stream *)stream;
  own.waiting.push_back(work);
  own.asked++;
  return 0;
}

static int runUntil(Stream &stream, u64 end) {
  int result = 0;
  while (stream.done < end) {
    Work work = stream.waiting.front();
    stream.waiting.pop_front();
    stream.done++;
    if (int problem = work()) result = problem;
  }
  return result;
}

static int waitOnHost(Stream &stream, u64 end) {
  if (captured) return 900;
  if (isLost) return 719;
  const int before = computed;
  const int result = runUntil(stream, end);
  waits += computed > before;
  return result;
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
API int cuLaunchKernel(u64 function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, u64 stream, u64 **parameters, void **) {
  std::vector<u64> slots; // a driver, too, copies them when it is asked
  for (u64 **parameter = parameters; *parameter; parameter++) slots.push_back(**parameter);
  const Function &entry = *(Function *)function;
  return ask(stream, [=]() mutable {
    computed++;
    clockTime += 1;
    unsigned dimensions[] = {gx, gy, gz, bx, by, bz, shared};
    const char *problem = entry.emulate(entry.name.c_str(), dimensions, slots.data(), int(slots.size()));
    if (problem) fprintf(stderr, "%s: %s\n", entry.name.c_str(), problem);
    return problem ? 719 : 0;
  });
}
static bool isPinned(u64 from, size_t bytes) {
  auto after = pinned.upper_bound(from);
  if (after == pinned.begin()) return false;
  auto own = std::prev(after);
  return from + bytes <= own->first + own->second;
}
API int cuMemHostAlloc(u64 *out, size_t bytes, unsigned) {
  if (int problem = cuMemAlloc_v2(out, bytes)) return problem;
  pinned[*out] = bytes;
  return 0;
}
API int cuMemFreeHost(u64 address) {
  if (!pinned.erase(address)) return 1;
  free((void *)address);
  return isLost ? 719 : 0;
}
/** Memory that is not pinned is read before the call returns. */
API int cuMemcpyHtoDAsync_v2(u64 to, const void *from, size_t bytes, u64 stream) {
  if (captured) return 900;
  if (isPinned(u64(from), bytes)) {
    note("upload", stream);
    return ask(stream, [=] { memcpy((void *)to, from, bytes); return 0; });
  }
  note("unpinned upload", stream);
  std::vector<char> kept((const char *)from, (const char *)from + bytes);
  return ask(stream, [=] { memcpy((void *)to, kept.data(), bytes); return 0; });
}
API int cuMemcpyDtoHAsync_v2(void *to, u64 from, size_t bytes, u64 stream) {
  Stream &own = *(Stream *)stream;
  note("download", stream);
  if (int problem = waitOnHost(own, own.asked)) return problem;
  memcpy(to, (void *)from, bytes);
  return 0;
}
API int cuMemcpyDtoDAsync_v2(u64 to, u64 from, size_t bytes, u64 stream) {
  note("copy", stream);
  return ask(stream, [=] { memcpy((void *)to, (void *)from, bytes); return 0; });
}
API int cuMemsetD8Async(u64 to, unsigned char value, size_t bytes, u64 stream) { return ask(stream, [=] { memset((void *)to, value, bytes); return 0; }); }
API int cuMemsetD32Async(u64 to, unsigned word, size_t count, u64 stream) {
  return ask(stream, [=] { for (size_t i = 0; i < count; i++) ((unsigned *)to)[i] = word; return 0; });
}
API int cuStreamCreate(u64 *out, unsigned) { *out = u64(new Stream()); return 0; }
API int cuStreamDestroy_v2(u64) { return 0; }
API int cuStreamSynchronize(u64 stream) { Stream &own = *(Stream *)stream; return waitOnHost(own, own.asked); }
API int cuEventCreate(u64 *out, unsigned) { *out = u64(new Event()); return 0; }
API int cuEventDestroy_v2(u64) { return 0; }
API int cuEventRecord(u64 event, u64 stream) {
  if (isLost) return 719;
  note("record", stream, event);
  Event *own = (Event *)event;
  const int result = ask(stream, [=] { own->time = clockTime; return 0; });
  own->stream = (Stream *)stream;
  own->at = own->stream->asked;
  return result;
}
API int cuEventElapsedTime(float *out, u64 start, u64 end) { *out = float(((Event *)end)->time - ((Event *)start)->time); return 0; }
/** What it waits for is what was recorded when it was asked. */
API int cuStreamWaitEvent(u64 stream, u64 event, unsigned) {
  note("wait", stream, event);
  const Event now = *(Event *)event;
  return ask(stream, [=] { return now.stream ? runUntil(*now.stream, now.at) : 0; });
}
API int cuEventSynchronize(u64 event) {
  const Event now = *(Event *)event;
  return now.stream ? waitOnHost(*now.stream, now.at) : 0;
}
API int cuStreamBeginCapture_v2(u64, int) { captured = new std::vector<Work>(); return 0; }
API int cuStreamEndCapture(u64, u64 *out) { *out = u64(captured); captured = nullptr; return 0; }
API int cuGraphInstantiateWithFlags(u64 *out, u64 graph, u64) { *out = graph; return 0; }
API int cuGraphLaunch(u64 graph, u64 stream) {
  graphLaunches++;
  note("graph", stream);
  return ask(stream, [=] {
    for (Work &work : *(std::vector<Work> *)graph) if (int result = work()) return result;
    return 0;
  });
}
/** Of this stub alone. A lost GPU fails whatever it is asked. */
API int stubGraphLaunches() { return graphLaunches; }
/** How often the host waited until something was computed. */
API int stubWaits() { return waits; }
/** Copies, events and graphs that were asked for since the last call: `what stream [event]`. */
API const char *stubCalls() {
  static std::string last;
  last.swap(calls);
  calls.clear();
  return last.c_str();
}
API int stubLose(int lost) { isLost = lost; return 0; }

struct Layout { int type; u64 rows, columns; int64_t stride; };
struct Descriptor { int transposeA = 0, transposeB = 0, epilogue = 1, biasType = 0; u64 bias = 0, aux = 0; int64_t auxStride = 0; };
/** Parts of an epilogue: bias added, GELU, its slope, GELU's input written or read. */
enum { BIAS = 4, GELU = 32, SLOPE = 64, AUX = 128 };

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
API int cublasLtMatmulPreferenceSetAttribute(u64, int which, const void *value, size_t size) {
  if (which == 1) return size == 8 ? 0 : 7;
  const unsigned alignment = *(const unsigned *)value;
  return which >= 5 && which <= 8 && size == 4 && alignment && !(alignment & (alignment - 1)) ? 0 : 7;
}
API int cublasLtMatmulDescCreate(u64 *out, int compute, int scale) { *out = u64(new Descriptor()); return compute == 68 && scale == 0 ? 0 : 7; }
API int cublasLtMatmulDescSetAttribute(u64 descriptor, int which, const void *value, size_t size) {
  Descriptor &d = *(Descriptor *)descriptor;
  void *to = which == 3 ? (void *)&d.transposeA : which == 4 ? (void *)&d.transposeB : which == 7 ? (void *)&d.epilogue : which == 8 ? (void *)&d.bias : which == 11 ? (void *)&d.aux : which == 12 ? (void *)&d.auxStride : which == 26 ? (void *)&d.biasType : nullptr;
  if (!to || size != (which == 8 || which == 11 || which == 12 ? 8 : 4)) return 7;
  memcpy(to, value, size);
  return 0;
}
API int cublasLtMatrixLayoutCreate(u64 *out, int type, u64 rows, u64 columns, int64_t stride) {
  *out = u64(new Layout{type, rows, columns, stride});
  return u64(stride) >= rows ? 0 : 7;
}
static const int RESULT_WORDS = 24;
/** STUB_WAYS: milliseconds of each way that the library has, to which STUB_GELU_MS come with a GELU. */
static std::vector<int> waysOf() {
  const char *given = getenv("STUB_WAYS");
  std::vector<int> ways;
  for (const char *at = given ? given : "1"; at; at = strchr(at, ','), at += at != nullptr) ways.push_back(atoi(at));
  return ways;
}
/** Whether it is one that the library has, with all that it asks for. STUB_WITHOUT_GELU: it has none with GELU. */
static bool isEpilogue(const Descriptor &d, const Layout &result) {
  const int what = d.epilogue & ~BIAS;
  if (what == 1 || d.epilogue == BIAS) return (d.epilogue == BIAS) == (d.bias != 0);
  if (what != GELU && what != (GELU | AUX) && d.epilogue != (SLOPE | AUX)) return false;
  if (numberFrom("STUB_WITHOUT_GELU", 0) || result.type == 0) return false;
  if (d.epilogue & BIAS && (!d.bias || d.biasType != result.type)) return false;
  return !(d.epilogue & AUX) || (d.aux && d.aux % 16 == 0 && d.auxStride % 8 == 0 && u64(d.auxStride) >= result.rows);
}
/** The tanh form. */
static double gelu(double x) { return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }
static double geluSlope(double x) {
  const double t = tanh(0.7978845608028654 * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 0.134145 * x * x);
}
static bool isProduct(u64 descriptor, u64 a, u64 b, u64 c) {
  const Descriptor &d = *(Descriptor *)descriptor;
  const Layout &A = *(Layout *)a, &B = *(Layout *)b, &C = *(Layout *)c;
  const u64 m = d.transposeA ? A.columns : A.rows, k = d.transposeA ? A.rows : A.columns;
  const u64 k2 = d.transposeB ? B.columns : B.rows, n = d.transposeB ? B.rows : B.columns;
  return m == C.rows && n == C.columns && k == k2 && A.type == B.type && isEpilogue(d, C);
}
/** A way is its number, counted from 1. One more is found than there is, in a state that says so. */
API int cublasLtMatmulAlgoGetHeuristic(u64, u64 descriptor, u64 a, u64 b, u64 c, u64, u64, int most, unsigned *found, int *count) {
  const int ways = int(waysOf().size());
  *count = isProduct(descriptor, a, b, c) ? (most < ways + 1 ? most : ways + 1) : 0;
  memset(found, 0, size_t(*count) * RESULT_WORDS * 4);
  for (int i = 0; i < *count; i++) {
    found[i * RESULT_WORDS] = unsigned(i + 1);
    found[i * RESULT_WORDS + 18] = i < ways ? 0 : 15;
  }
  return *count ? 0 : 15;
}
API int cublasLtMatmulAlgoCheck(u64, u64 descriptor, u64 a, u64 b, u64 c, u64, const unsigned *way, void *) {
  return isProduct(descriptor, a, b, c) && *way >= 1 && *way <= waysOf().size() ? 0 : 15;
}
API int cublasLtMatmul(u64, u64 descriptor, const float *alpha, u64 a, u64 aLayout, u64 b, u64 bLayout, const float *beta, u64 c, u64, u64 out, u64 outLayout, const unsigned *way, u64, size_t, u64 stream) {
  const Descriptor d = *(Descriptor *)descriptor;
  const Layout A = *(Layout *)aLayout, B = *(Layout *)bLayout, D = *(Layout *)outLayout;
  const float scale = *alpha, kept = *beta;
  const std::vector<int> ways = waysOf();
  if (*way < 1 || *way > ways.size()) return 15;
  const double milliseconds = ways[*way - 1] + (d.epilogue & (GELU | SLOPE) ? numberFrom("STUB_GELU_MS", 0) : 0);
  note(("product " + std::to_string(d.epilogue) + " by " + std::to_string(*way) + " on").c_str(), stream);
  return ask(stream, [=] {
    computed++;
    clockTime += milliseconds;
    const u64 depth = d.transposeA ? A.rows : A.columns;
    for (u64 j = 0; j < D.columns; j++)
      for (u64 i = 0; i < D.rows; i++) {
        double sum = 0;
        for (u64 k = 0; k < depth; k++)
          sum += double(load(A.type, a, d.transposeA ? i * A.stride + k : k * A.stride + i)) * load(B.type, b, d.transposeB ? k * B.stride + j : j * B.stride + k);
        sum *= scale;
        if (kept != 0) sum += kept * load(D.type, c, j * D.stride + i);
        const u64 auxIndex = j * d.auxStride + i;
        if (d.epilogue & BIAS) sum += load(d.biasType, d.bias, i);
        if (d.epilogue & SLOPE) sum *= geluSlope(load(D.type, d.aux, auxIndex));
        else if (d.epilogue & AUX) store(D.type, d.aux, auxIndex, float(sum));
        if (d.epilogue & GELU) sum = gelu(sum);
        store(D.type, out, j * D.stride + i, float(sum));
      }
    return 0;
  });
}
