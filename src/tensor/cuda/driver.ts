// The part of CUDA's driver interface that the device uses, called through koffi. Handles, streams and addresses are u64s; names
// carry the suffixes that cuda.h hides. What is asked of one stream happens in its order; calls return before their work is done,
// but for downloads and for waits.

import { SluiceError } from '../../core/errors.ts'
import { loadKoffi } from '../../core/native.ts'
import { cudaError } from './errors.ts'
import type { KernelLaunch } from './launch.ts'

export type Handle = bigint

export interface Driver {
  /** Of the device, and its compute capability as 90 for 9.0. */
  readonly name: string
  readonly capability: number
  readonly totalBytes: number
  /** Of what names no other. */
  readonly stream: Handle
  freeBytes(): number
  allocate(bytes: number): Handle
  free(address: Handle): void
  loadModule(image: Uint8Array): Handle
  functionOf(module: Handle, name: string, sharedBytes: number): Handle
  /** @param parameters address of a null-ended list of addresses of arguments */
  launch(handle: Handle, launch: KernelLaunch, parameters: Handle): void
  upload(to: Handle, from: ArrayBufferView, stream?: Handle): void
  /** From one place on the GPU to another. */
  copy(to: Handle, from: Handle, bytes: number): void
  /** Waits for what was asked before. */
  download(to: ArrayBufferView, from: Handle): void
  fillBytes(address: Handle, value: number, bytes: number): void
  fillWords(address: Handle, word: number, count: number): void
  synchronize(): void
  /** Memory of the host that does not move: copies read it while the host goes on. */
  allocateHost(bytes: number): ArrayBuffer
  freeHost(memory: ArrayBuffer): void
  createStream(): Handle
  freeStream(stream: Handle): void
  /** Something that has passed, until it is recorded in a stream: then it passes when what was asked there before is done. */
  createEvent(): Handle
  freeEvent(event: Handle): void
  record(event: Handle, stream: Handle): void
  /** What is asked of the stream afterwards waits for the event; the host does not. */
  waitFor(event: Handle, stream: Handle): void
  /** The host waits. */
  waitOnHost(event: Handle): void
  /** Milliseconds that the GPU takes for what `body` asks for; waits. */
  measure(body: () => void): number
  /** What `body` asks for, to be run by `replay`. */
  capture(body: () => void): Handle
  replay(graph: Handle): void
  dispose(): void
}

const FUNCTION_SHARED_BYTES = 8
const CAPABILITY_MAJOR = 75
const CAPABILITY_MINOR = 76
/** Work of the legacy stream does not wait for ours. */
const STREAM_NON_BLOCKING = 1
const CAPTURE_THREAD = 1
/** Events that only order: measuring time costs more. */
const EVENT_NO_TIMING = 2
/** What a kernel may use without being asked. */
const USUAL_SHARED_BYTES = 48 * 1024

/** @throws SluiceError SLUICE_CUDA_LIBRARY, SLUICE_CUDA_DEVICE, SLUICE_CUDA_DRIVER where there is no GPU to be had */
export function openDriver(path: string, ordinal = 0): Driver {
  const koffi = loadKoffi()
  if (!koffi) throw new SluiceError('SLUICE_CUDA_LIBRARY', 'koffi has no binary for this platform', { fix: 'train with --device cpu' })
  const library = koffi.load(path)
  const errorName = functionNamed('cuGetErrorName', 'int cuGetErrorName(int, void *)')
  const out = new BigUint64Array(2)
  const numbers = new Int32Array(2)

  function declare(name: string, parameters: string): (...values: unknown[]) => void {
    const call = functionNamed(name, `int ${name}(${parameters})`)
    return (...values) => {
      const result: number = call(...values)
      if (result !== 0) throw cudaError(result, nameOf(result), name)
    }
  }

  function functionNamed(name: string, prototype: string) {
    try {
      return library.func(prototype)
    } catch {
      throw new SluiceError('SLUICE_CUDA_DRIVER', `${path} has no ${name}`, {
        fix: "NVIDIA's driver is older than CUDA 12: update the driver, or train with --device cpu",
      })
    }
  }

  function nameOf(result: number): string {
    const pointer = new BigUint64Array(1)
    return errorName(result, pointer) === 0 ? String(koffi?.decode(pointer, 'const char *')) : 'unknown error'
  }

  const attribute = declare('cuDeviceGetAttribute', 'void *, int, int')
  const context = declare('cuCtxSetCurrent', 'uint64_t')
  const release = declare('cuDevicePrimaryCtxRelease_v2', 'int')
  const memoryInfo = declare('cuMemGetInfo_v2', 'void *, void *')
  const allocate = declare('cuMemAlloc_v2', 'void *, size_t')
  const free = declare('cuMemFree_v2', 'uint64_t')
  const loadData = declare('cuModuleLoadData', 'void *, void *')
  const getFunction = declare('cuModuleGetFunction', 'void *, uint64_t, const char *')
  const setFunction = declare('cuFuncSetAttribute', 'uint64_t, int, int')
  const launchKernel = declare('cuLaunchKernel', 'uint64_t, uint, uint, uint, uint, uint, uint, uint, uint64_t, uint64_t, uint64_t')
  const toDevice = declare('cuMemcpyHtoDAsync_v2', 'uint64_t, void *, size_t, uint64_t')
  const toHost = declare('cuMemcpyDtoHAsync_v2', 'void *, uint64_t, size_t, uint64_t')
  const onDevice = declare('cuMemcpyDtoDAsync_v2', 'uint64_t, uint64_t, size_t, uint64_t')
  const allocateHost = declare('cuMemHostAlloc', 'void *, size_t, uint')
  const freeHost = declare('cuMemFreeHost', 'void *')
  const createStream = declare('cuStreamCreate', 'void *, uint')
  const createEvent = declare('cuEventCreate', 'void *, uint')
  const record = declare('cuEventRecord', 'uint64_t, uint64_t')
  const waitForEvent = declare('cuStreamWaitEvent', 'uint64_t, uint64_t, uint')
  const waitOnHost = declare('cuEventSynchronize', 'uint64_t')
  const freeEvent = declare('cuEventDestroy_v2', 'uint64_t')
  const elapsedTime = declare('cuEventElapsedTime', 'void *, uint64_t, uint64_t')
  const setBytes = declare('cuMemsetD8Async', 'uint64_t, uint8_t, size_t, uint64_t')
  const setWords = declare('cuMemsetD32Async', 'uint64_t, uint, size_t, uint64_t')
  const wait = declare('cuStreamSynchronize', 'uint64_t')
  const beginCapture = declare('cuStreamBeginCapture_v2', 'uint64_t, int')
  const endCapture = declare('cuStreamEndCapture', 'uint64_t, void *')
  const instantiate = declare('cuGraphInstantiateWithFlags', 'void *, uint64_t, uint64_t')
  const launchGraph = declare('cuGraphLaunch', 'uint64_t, uint64_t')
  const destroyStream = declare('cuStreamDestroy_v2', 'uint64_t')

  declare('cuInit', 'uint')(0)
  declare('cuDeviceGet', 'void *, int')(numbers, ordinal)
  const device = numbers[0]
  const nameBytes = new Uint8Array(256)
  declare('cuDeviceGetName', 'void *, int, int')(nameBytes, nameBytes.length, device)
  declare('cuDeviceTotalMem_v2', 'void *, int')(out, device)
  const totalBytes = Number(out[0])
  const read = (which: number): number => {
    attribute(numbers, which, device)
    return numbers[0]
  }
  const capability = read(CAPABILITY_MAJOR) * 10 + read(CAPABILITY_MINOR)
  declare('cuDevicePrimaryCtxRetain', 'void *, int')(out, device)
  context(out[0])
  createStream(out, STREAM_NON_BLOCKING)
  const stream = out[0]

  return {
    name: new TextDecoder().decode(nameBytes).replaceAll('\0', ''),
    capability,
    totalBytes,
    stream,
    freeBytes() {
      const info = new BigUint64Array(2)
      memoryInfo(info.subarray(0, 1), info.subarray(1))
      return Number(info[0])
    },
    allocate(bytes) {
      allocate(out, bytes)
      return out[0]
    },
    free,
    loadModule(image) {
      loadData(out, image)
      return out[0]
    },
    functionOf(module, name, sharedBytes) {
      getFunction(out, module, name)
      const handle = out[0]
      if (sharedBytes > USUAL_SHARED_BYTES) setFunction(handle, FUNCTION_SHARED_BYTES, sharedBytes)
      return handle
    },
    launch: (handle, { grid, block, sharedBytes }, parameters) =>
      launchKernel(handle, ...grid, ...block, sharedBytes, stream, parameters, 0),
    // from memory that is not pinned the call returns when it has read it
    upload: (to, from, own = stream) => toDevice(to, from, from.byteLength, own),
    copy: (to, from, bytes) => onDevice(to, from, bytes, stream),
    download(to, from) {
      toHost(to, from, to.byteLength, stream)
      wait(stream)
    },
    fillBytes: (address, value, bytes) => setBytes(address, value, bytes, stream),
    fillWords: (address, word, count) => setWords(address, word, count, stream),
    synchronize: () => wait(stream),
    allocateHost(bytes) {
      allocateHost(out, bytes, 0)
      return koffi.view(out[0], bytes)
    },
    freeHost,
    createStream() {
      createStream(out, STREAM_NON_BLOCKING)
      return out[0]
    },
    freeStream: destroyStream,
    createEvent() {
      createEvent(out, EVENT_NO_TIMING)
      return out[0]
    },
    freeEvent,
    record,
    waitFor: (event, own) => waitForEvent(own, event, 0),
    waitOnHost,
    measure(body) {
      const [start, end] = [0, 1].map(() => {
        createEvent(out, 0)
        return out[0]
      })
      const milliseconds = new Float32Array(1)
      record(start, stream)
      body()
      record(end, stream)
      waitOnHost(end)
      elapsedTime(milliseconds, start, end)
      freeEvent(start)
      freeEvent(end)
      return milliseconds[0]
    },
    capture(body) {
      beginCapture(stream, CAPTURE_THREAD)
      try {
        body()
      } finally {
        endCapture(stream, out)
      }
      instantiate(out.subarray(1), out[0], 0)
      return out[1]
    },
    replay: (graph) => launchGraph(graph, stream),
    dispose() {
      wait(stream)
      destroyStream(stream)
      release(device)
    },
  }
}
