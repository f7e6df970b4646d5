// Runs kernels of kernels/cuda on the CPU, as they stand: a fiber for each thread of a block, warps and barriers in lockstep
// where the source asks for it and in random order elsewhere, asynchronous copies that land only when waited for.
// Shared memory begins as NaN, and a random warp runs far ahead, so that a missing wait or barrier shows. Not modelled: memory
// order between blocks, banks, time.
// Compiled for one module: SOURCE is its file, ENTRIES its kernels as ENTRY(name), besides the module's own definitions.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <utility>
#include <vector>
#include "halves.h"
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator {

struct Index {
  unsigned x, y, z;
};

/** What a fiber waits for: that the generation changes. */
struct Barrier {
  int arrived = 0, generation = 0, gathered = 0, result = 0;
};

struct PendingCopy {
  unsigned to;
  const void *from;
  bool isThere;
};

struct Fiber {
#if defined(__x86_64__)
  void *stackPointer = nullptr;
#else
  ucontext_t context;
#endif
  std::unique_ptr<char[]> stack;
  bool isDone = true;
  Index thread{};
  int warp = 0, lane = 0;
  const int *watched = nullptr;
  int seen = 0;
  std::vector<PendingCopy> copies;
  std::vector<size_t> groups;
  bool isBlocked() const { return watched && *watched == seen; }
};

constexpr size_t STACK_BYTES = 1 << 16;
constexpr int MOST_THREADS = 1024;
constexpr size_t SHARED_BYTES = 228 * 1024;

Fiber fibers[MOST_THREADS];
Fiber *current;
Index block, grid, blockSize;
int alive;
Barrier wholeBlock, warps[MOST_THREADS / 32];
alignas(128) unsigned char sharedMemory[SHARED_BYTES];
size_t sharedBytes;
std::minstd_rand random_;
void (*body)(const unsigned long long *);
const unsigned long long *slots;
const char *problem;

#if defined(__x86_64__)
extern "C" void emulatorSwitch(void **save, void *to) __attribute__((visibility("hidden")));
asm(R"(
.text
.type emulatorSwitch, @function
.hidden emulatorSwitch
.globl emulatorSwitch
emulatorSwitch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
void *scheduler;
void resume(Fiber &f) { emulatorSwitch(&scheduler, f.stackPointer); }
void pause() { emulatorSwitch(&current->stackPointer, scheduler); }
#else
ucontext_t scheduler;
void resume(Fiber &f) { swapcontext(&scheduler, &f.context); }
void pause() { swapcontext(&current->context, &scheduler); }
#endif

void entry() {
  body(slots);
  current->isDone = true;
  alive--;
  pause();
  abort();
}

void start(Fiber &f) {
  if (!f.stack) f.stack.reset(new char[STACK_BYTES]);
  f.isDone = false;
  f.watched = nullptr;
  f.copies.clear();
  f.groups.clear();
#if defined(__x86_64__)
  auto top = reinterpret_cast<unsigned long long>(f.stack.get() + STACK_BYTES) & ~15ull;
  auto words = reinterpret_cast<void **>(top - 16);
  words[0] = reinterpret_cast<void *>(entry);
  for (int i = 1; i <= 6; i++) words[-i] = nullptr;
  f.stackPointer = words - 6;
#else
  getcontext(&f.context);
  f.context.uc_stack = {f.stack.get(), 0, STACK_BYTES};
  f.context.uc_link = nullptr;
  makecontext(&f.context, entry, 0);
#endif
}

/** Waits for `count` threads; the value is true for all where one of them brings true. */
int meet(Barrier &barrier, int count, int value = 0) {
  const int own = barrier.generation;
  barrier.gathered |= value;
  if (++barrier.arrived == count) {
    barrier.result = barrier.gathered;
    barrier.arrived = barrier.gathered = 0;
    barrier.generation++;
    return barrier.result;
  }
  current->watched = &barrier.generation;
  current->seen = own;
  while (barrier.generation == own) pause();
  current->watched = nullptr;
  return barrier.result;
}

void meetWarp() { meet(warps[current->warp], 32); }
int meetBlock(int value = 0) { return meet(wholeBlock, int(blockSize.x * blockSize.y * blockSize.z), value); }

struct Lane {
  unsigned a[4], b[2], address;
  float value;
};
Lane lanes[MOST_THREADS / 32][32];
Lane *own() { return &lanes[current->warp][current->lane]; }

/** False where threads wait for what never comes. */
bool runBlock(int threads) {
  alive = threads;
  memset(sharedMemory, 0xff, sharedBytes);
  wholeBlock = {};
  for (int i = 0; i < threads; i++) {
    Fiber &f = fibers[i];
    f.thread = {i % blockSize.x, i / blockSize.x % blockSize.y, i / (blockSize.x * blockSize.y)};
    f.warp = i / 32;
    f.lane = i % 32;
    start(f);
  }
  const int count = (threads + 31) / 32;
  for (int w = 0; w < count; w++) warps[w] = {};
  int idle = 0;
  while (alive > 0) {
    const int w = idle > 0 ? (idle - 1) % count : int(random_() % count);
    bool moved = false;
    for (int turn = 0; turn < 400; turn++) {
      bool movedNow = false;
      for (int i = w * 32; i < threads && i < w * 32 + 32; i++)
        if (!fibers[i].isDone && !fibers[i].isBlocked()) {
          movedNow = true;
          current = &fibers[i];
          resume(fibers[i]);
        }
      if (!movedNow) break;
      moved = true;
    }
    idle = moved ? 0 : idle + 1;
    if (idle > count) return false;
  }
  return true;
}

template <class T> T slotAs(const unsigned long long *slot) {
  T value;
  memcpy(&value, slot, sizeof value);
  return value;
}
template <class... A, size_t... I> void call(void (*kernel)(A...), const unsigned long long *from, std::index_sequence<I...>) {
  kernel(slotAs<A>(from + I)...);
}
template <class... A> void invoke(void (*kernel)(A...), const unsigned long long *from) { call(kernel, from, std::index_sequence_for<A...>()); }
template <class... A> constexpr int arity(void (*)(A...)) { return int(sizeof...(A)); }

} // namespace emulator

#define EMULATED
#define DEVICE static inline
#define KERNEL(threads) static void
#define SHARED static
#define DYNAMIC_SHARED(name) unsigned char *name = emulator::sharedMemory
#define threadIdx (emulator::current->thread)
#define blockIdx (emulator::block)
#define gridDim (emulator::grid)
#define blockDim (emulator::blockSize)

static inline void __syncthreads() { emulator::meetBlock(); }
static inline int __syncthreads_or(int value) { return emulator::meetBlock(value != 0); }
static inline void __syncwarp() { emulator::meetWarp(); }

static inline float bitsToFloat(unsigned bits) {
  float f;
  memcpy(&f, &bits, 4);
  return f;
}
static inline float exp2Fast(float x) { return exp2f(x); }
#if F16
static inline float widen(unsigned bits) { return fromF16(bits & 0xffff); }
static inline unsigned narrow(float value) { return toF16(value); }
#else
static inline float widen(unsigned bits) { return fromBf16(bits & 0xffff); }
static inline unsigned narrow(float value) { return toBf16(value); }
#endif
static inline unsigned pack(float low, float high) { return narrow(low) | narrow(high) << 16; }

static inline float exchange(float value, int from) {
  emulator::own()->value = value;
  emulator::meetWarp();
  const float result = emulator::lanes[emulator::current->warp][from].value;
  emulator::meetWarp();
  return result;
}
static inline float shuffleXor(float value, int mask) { return exchange(value, emulator::current->lane ^ mask); }
static inline float shuffleFrom(float value, int lane) { return exchange(value, lane); }

static inline unsigned sharedAddress(const void *p) { return unsigned(static_cast<const unsigned char *>(p) - emulator::sharedMemory); }
static inline void copyAsync(unsigned to, const void *from, bool isThere) {
  if (to + 16 > emulator::sharedBytes || to % 16 != 0 || (isThere && reinterpret_cast<unsigned long long>(from) % 16 != 0)) {
    emulator::problem = "a copy past shared memory, or not to or from a multiple of 16 bytes";
    return;
  }
  memset(emulator::sharedMemory + to, 0xff, 16);
  emulator::current->copies.push_back({to, from, isThere});
}
static inline void commitCopies() { emulator::current->groups.push_back(emulator::current->copies.size()); }
template <int N> static inline void waitForCopies() {
  auto &copies = emulator::current->copies;
  auto &groups = emulator::current->groups;
  if (groups.size() <= N) return;
  const size_t count = groups[groups.size() - N - 1];
  for (size_t i = 0; i < count; i++) {
    if (copies[i].isThere) memcpy(emulator::sharedMemory + copies[i].to, copies[i].from, 16);
    else memset(emulator::sharedMemory + copies[i].to, 0, 16);
  }
  copies.erase(copies.begin(), copies.begin() + count);
  groups.erase(groups.begin(), groups.end() - N);
  for (auto &group : groups) group -= count;
}

static inline void loadMatricesBy(unsigned *r, unsigned address, bool isTransposed) {
  const int lane = emulator::current->lane;
  emulator::own()->address = address;
  emulator::meetWarp();
  const emulator::Lane *all = emulator::lanes[emulator::current->warp];
  for (int m = 0; m < 4; m++) {
    if (!isTransposed) memcpy(&r[m], emulator::sharedMemory + all[m * 8 + lane / 4].address + lane % 4 * 4, 4);
    else {
      unsigned short low, high;
      memcpy(&low, emulator::sharedMemory + all[m * 8 + lane % 4 * 2].address + lane / 4 * 2, 2);
      memcpy(&high, emulator::sharedMemory + all[m * 8 + lane % 4 * 2 + 1].address + lane / 4 * 2, 2);
      r[m] = low | unsigned(high) << 16;
    }
  }
  emulator::meetWarp();
}
static inline void loadMatrices(unsigned *r, unsigned address) { loadMatricesBy(r, address, false); }
static inline void loadMatricesTransposed(unsigned *r, unsigned address) { loadMatricesBy(r, address, true); }

static inline void multiply(float *c, const unsigned *a, const unsigned *b) {
  const int lane = emulator::current->lane;
  memcpy(emulator::own()->a, a, 16);
  memcpy(emulator::own()->b, b, 8);
  emulator::meetWarp();
  const emulator::Lane *all = emulator::lanes[emulator::current->warp];
  auto factor = [](unsigned bits, int k) { return widen(k & 1 ? bits >> 16 : bits); };
  for (int e = 0; e < 4; e++) {
    const int row = lane / 4, lower = e >> 1, column = lane % 4 * 2 + (e & 1);
    float sum = 0.f;
    for (int k = 0; k < 16; k++)
      sum += factor(all[row * 4 + k % 8 / 2].a[lower + (k >= 8 ? 2 : 0)], k) * factor(all[column * 4 + k % 8 / 2].b[k >= 8], k);
    c[e] += sum;
  }
  emulator::meetWarp();
}

#include SOURCE_COMMON
#include SOURCE

struct Entry {
  const char *name;
  int arity;
  void (*run)(const unsigned long long *);
};
#define ENTRY(kernel) {#kernel, emulator::arity(kernel), [](const unsigned long long *slots) { emulator::invoke(kernel, slots); }},
static const Entry entries[] = {ENTRIES};

/**
 * Arguments lie in slots of 8 bytes. dimensions: grid, block, bytes of dynamic shared memory. Returns null, or what went wrong.
 */
extern "C" __attribute__((visibility("default"))) const char *emulate(const char *name, const unsigned *dimensions, const unsigned long long *slots, int count) {
  const Entry *found = nullptr;
  for (const Entry &entry : entries)
    if (strcmp(entry.name, name) == 0) found = &entry;
  if (!found) return "no such kernel";
  if (found->arity != count) return "another number of arguments than the kernel takes";
  using namespace emulator;
  grid = {dimensions[0], dimensions[1], dimensions[2]};
  blockSize = {dimensions[3], dimensions[4], dimensions[5]};
  sharedBytes = dimensions[6];
  const unsigned threads = blockSize.x * blockSize.y * blockSize.z;
  if (threads > MOST_THREADS || threads % 32 != 0 || sharedBytes > 227 * 1024) return "more threads or shared memory than there are";
  body = found->run;
  emulator::slots = slots;
  problem = nullptr;
  const unsigned blocks = grid.x * grid.y * grid.z, from = random_() % blocks;
  for (unsigned i = 0; i < blocks; i++) {
    const unsigned n = (from + i) % blocks;
    block = {n % grid.x, n / grid.x % grid.y, n / (grid.x * grid.y)};
    if (!runBlock(int(threads))) return "threads wait for each other for ever";
    if (problem) return problem;
  }
  return nullptr;
}
