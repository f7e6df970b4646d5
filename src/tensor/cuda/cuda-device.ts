// The CUDA device: one arena on the GPU with the tape's tensors, behind it the copies of weights that products read and a
// workspace. A program is launched as it stands the first time, and from the second on as one CUDA graph; nothing waits for the
// GPU but downloads.

import { SluiceError } from '../../core/errors.ts'
import { loadKoffi } from '../../core/native.ts'
import type { Device, Program } from '../device.ts'
import type { OpRecord } from '../graph.ts'
import type { BytesOf } from '../plan.ts'
import type { Precision } from '../precision.ts'
import { ALIGNMENT_BYTES, elements } from '../shape.ts'
import { storageOf, type Tensor } from '../tensor.ts'
import { type CublasLt, LT_WORKSPACE_BYTES, openCublasLt } from './cublaslt.ts'
import { type Driver, type Handle, openDriver } from './driver.ts'
import { type CudaIntake, openIntake } from './intake.ts'
import { cached } from './kernel-cache.ts'
import type { Argument, KernelLaunch, Launch, Operand, ProductLaunch } from './launch.ts'
import { createLowering } from './launches.ts'
import type { CudaLibraries } from './libraries.ts'
import { definitionsOf, type Module, modules, sourceOf } from './modules.ts'
import { scatter } from './noise.ts'
import { openNvrtc } from './nvrtc.ts'
import { elementBytes } from './operands.ts'
import { createChooser } from './product-choice.ts'

export interface CudaProgram extends Program {
  /** What each record asks of the GPU. */
  readonly requests: readonly (readonly (() => void)[])[]
  /** Runs so far without a graph. */
  runs: number
  graph?: Handle
}

/** A module's machine code, for GPUs of this capability. */
export type CompileModule = (module: Module, precision: Precision, capability: number) => Uint8Array

export interface CudaOptions {
  readonly libraries: CudaLibraries
  readonly precision: Precision
  /** NVRTC's where left out. */
  readonly compileModule?: CompileModule
  /** Whether ways to compute a product are timed where this machine has not chosen one yet; default true. */
  readonly timesProducts?: boolean
  readonly onNotice?: (line: string) => void
}

/** A GPU before it is known what runs on it. */
export interface Cuda {
  readonly name: string
  /** What the activations of a program occupy, given all records that the device will run. */
  bytesOf(records: readonly OpRecord[]): BytesOf
  /** What a plan may count on beside the copies and workspaces of these records. */
  largestArenaBytes(records: readonly OpRecord[]): number
  createDevice(arenaBytes: number, records: readonly OpRecord[]): Device<CudaProgram>
}

/** Of the arena and of what lies behind it: the largest that a vector load or cuBLASLt asks for. */
const BASE_ALIGNMENT = 256
/** Left to the driver for modules and graphs. */
const RESERVE_BYTES = 256 * 2 ** 20

/** Before Hopper cuBLASLt runs GELU in bf16 behind the product, slower than our kernel (github.com/karpathy/llm.c/pull/338). */
const GELU_CAPABILITY = 90

/** Of tensor cores that multiply bf16, and of asynchronous copies. */
const LEAST_CAPABILITY = 80

const padded = (bytes: number, alignment: number) => Math.ceil(bytes / alignment) * alignment

/** @throws SluiceError SLUICE_CUDA_LIBRARY, SLUICE_CUDA_DEVICE, SLUICE_CUDA_DRIVER, SLUICE_CUDA_ARCHITECTURE */
export function openCuda(options: CudaOptions): Cuda {
  const { libraries, precision } = options
  const driver = openDriver(libraries.driver)
  assertArchitecture(driver)
  const copyBytes = (copies: ReadonlySet<Tensor>) =>
    [...copies].reduce((sum, { shape }) => sum + padded(elements(shape) * 2, BASE_ALIGNMENT), 0)
  return {
    name: driver.name,
    bytesOf(records) {
      const { typeOf } = createLowering(records, precision)
      return (tensor) => padded(elements(tensor.shape) * elementBytes(typeOf(tensor)), ALIGNMENT_BYTES)
    },
    largestArenaBytes(records) {
      const { copies, workspaceBytes } = createLowering(records, precision)
      return Math.max(0, driver.freeBytes() - copyBytes(copies) - workspaceBytes - LT_WORKSPACE_BYTES - RESERVE_BYTES)
    },
    createDevice: (arenaBytes, records) => createCudaDevice({ ...options, driver, arenaBytes, records }),
  }
}

function assertArchitecture(driver: Driver): void {
  const { name, capability } = driver
  if (capability >= LEAST_CAPABILITY) return
  driver.dispose()
  throw new SluiceError(
    'SLUICE_CUDA_ARCHITECTURE',
    `${name} has compute capability ${(capability / 10).toFixed(1)}: the kernels need 8.0`,
    {
      fix: 'take a GPU of the generation of A100 or newer, or train with --device cpu',
    },
  )
}

function nvrtcCompiler(path: string): CompileModule {
  return (module, precision, capability) => {
    const architecture = capability === 90 ? 'sm_90a' : `sm_${capability}`
    const options = [`--gpu-architecture=${architecture}`, '-std=c++17', ...definitionsOf(module, precision)]
    const [source, nvrtc] = [sourceOf(module), openNvrtc(path)]
    return cached([source, nvrtc.version, ...options], () => nvrtc.compile(source, `${module.file}.cu`, options).cubin)
  }
}

interface DeviceParts extends CudaOptions {
  readonly driver: Driver
  readonly arenaBytes: number
  readonly records: readonly OpRecord[]
}

function createCudaDevice({ driver, arenaBytes, records, libraries, precision, ...options }: DeviceParts): Device<CudaProgram> {
  const { compileModule = nvrtcCompiler(libraries.nvrtc), timesProducts = true, onNotice = () => {} } = options
  const lowering = createLowering(records, precision)
  const places = new Map<Tensor, number>()
  let endBytes = padded(arenaBytes, BASE_ALIGNMENT)
  for (const tensor of lowering.copies) {
    places.set(tensor, endBytes)
    endBytes += padded(elements(tensor.shape) * 2, BASE_ALIGNMENT)
  }
  const workspaceOffset = endBytes
  endBytes += padded(lowering.workspaceBytes, BASE_ALIGNMENT)
  const base = driver.allocate(endBytes + LT_WORKSPACE_BYTES)
  driver.fillBytes(base, 0, arenaBytes) // gradients and moments begin as zeroes, as in a WASM memory
  const cublasLt: CublasLt = openCublasLt(libraries.cublasLt, base + BigInt(endBytes), driver.stream)
  const chooser = createChooser(driver, cublasLt.version, onNotice)
  const functionOf = functionLoader(driver, precision, compileModule)
  /** Addresses of tensors that have copies, and copies that an upload made stale. */
  const originals = new Map<Tensor, number>()
  const stale = new Set<Tensor>()
  const copies = driver.createStream()
  const intakes: CudaIntake[] = []
  /** Whether nothing has been written to the arena yet. */
  let isNew = true
  let isDisposed = false

  function addressOf(operand: Operand, at: (tensor: Tensor) => number): Handle {
    if (operand.kind === 'workspace') return base + BigInt(workspaceOffset + operand.offsetBytes)
    const place = operand.kind === 'copy' ? places.get(storageOf(operand.tensor)) : at(operand.tensor)
    if (place === undefined) throw new RangeError(`${operand.tensor.name} has no copy`)
    return base + BigInt(place + operand.offsetBytes)
  }

  function requestsOf(launch: Launch, at: (tensor: Tensor) => number): readonly (() => void)[] {
    const locate = (operand: Operand) => addressOf(operand, at)
    if (launch.kind === 'product') {
      const { apart: parts } = launch
      const apart = parts && (() => parts.flatMap((part) => requestsOf(part, at)))
      if (apart && driver.capability < GELU_CAPABILITY) return apart()
      const fill = timesProducts && isNew ? () => fillOperands(launch, locate) : undefined
      return chooser.choose({ product: cublasLt.prepare(launch, locate), apart, fill })
    }
    if (launch.kind === 'fill') {
      const address = locate(launch.operand)
      return [() => driver.fillBytes(address, 0, launch.bytes)]
    }
    const handle = functionOf(launch)
    const parameters = parametersOf(launch.arguments, locate)
    return [() => driver.launch(handle, launch, parameters)]
  }

  function fillOperands({ M, N, K, a, b }: ProductLaunch, locate: (operand: Operand) => Handle): void {
    for (const [{ operand, type, stride, isTransposed }, rows, columns] of [[a, M, K] as const, [b, K, N] as const])
      scatter(driver, locate(operand), (isTransposed ? columns : rows) * stride * elementBytes(type), type)
  }

  /** Brings copies up to date that were written from outside. */
  function refresh(): void {
    for (const tensor of stale)
      for (const launch of lowering.refresh(tensor)) for (const request of requestsOf(launch, () => originals.get(tensor) ?? 0)) request()
    stale.clear()
  }

  function touch(address: number, bytes: number): void {
    for (const [tensor, place] of originals) if (address < place + elements(tensor.shape) * 4 && place < address + bytes) stale.add(tensor)
  }

  function launchAll({ requests }: CudaProgram): void {
    for (const own of requests) for (const request of own) request()
  }

  return {
    kind: 'cuda',
    name: `${driver.name}, ${precision}`,
    arenaStart: 0,
    arenaEnd: arenaBytes,
    compile(own, at) {
      for (const tensor of lowering.copies) {
        if (originals.has(tensor)) continue
        originals.set(tensor, at(tensor))
        stale.add(tensor)
      }
      const before = chooser.timed
      const requests = own.map((record) => lowering.launchesOf(record).flatMap((launch) => requestsOf(launch, at)))
      if (chooser.timed > before) {
        driver.fillBytes(base, 0, arenaBytes)
        onNotice(`${chooser.timed - before} matrix products timed on ${driver.name}: the fastest ways are kept for later runs`)
      }
      return { records: own, requests, runs: 0 }
    },
    run(program, recordMs) {
      if (isDisposed) throw new TypeError('the device has been disposed of')
      if (program.requests.length === 0) return
      isNew = false
      refresh()
      if (recordMs) runTimed(program, recordMs, driver)
      else if (program.graph !== undefined) driver.replay(program.graph)
      else if (program.runs++ === 0) launchAll(program)
      else driver.replay((program.graph = driver.capture(() => launchAll(program))))
    },
    openIntake(inputs, at) {
      const intake = openIntake(driver, copies, inputs, (name) => base + BigInt(at(inputs[name])))
      intakes.push(intake)
      return intake
    },
    upload(address, values) {
      isNew = false
      driver.upload(base + BigInt(address), values)
      touch(address, values.byteLength)
    },
    download: (address, out) => driver.download(out, base + BigInt(address)),
    downloadDoubles: (address, out) => driver.download(out, base + BigInt(address)),
    fill(address, count, value) {
      isNew = false
      driver.fillWords(base + BigInt(address), new Uint32Array(Float32Array.of(value).buffer)[0], count)
      touch(address, count * 4)
    },
    async dispose() {
      if (isDisposed) return
      isDisposed = true
      try {
        driver.synchronize()
        for (const intake of intakes) intake.dispose()
        driver.freeStream(copies)
        cublasLt.dispose()
        driver.free(base)
        driver.dispose()
      } catch (error) {
        // a lost GPU has nothing left to be freed, and what it failed at first has been said
        if (!(error instanceof SluiceError) || error.code !== 'SLUICE_CUDA_LOST') throw error
      }
    },
  }
}

/** Waits after each record. */
function runTimed({ requests }: CudaProgram, recordMs: Float64Array, driver: Driver): void {
  driver.synchronize()
  requests.forEach((own, index) => {
    const start = performance.now()
    for (const request of own) request()
    driver.synchronize()
    recordMs[index] += performance.now() - start
  })
}

/** Modules are compiled when the first of their kernels is asked for. */
function functionLoader(driver: Driver, precision: Precision, compileModule: CompileModule): (launch: KernelLaunch) => Handle {
  const loaded = new Map<string, Handle>()
  const functions = new Map<string, Handle>()
  return ({ module: moduleName, name, sharedBytes }) => {
    const key = `${moduleName} ${name} ${sharedBytes}`
    const known = functions.get(key)
    if (known !== undefined) return known
    let module = loaded.get(moduleName)
    if (module === undefined) {
      const source = modules.find((candidate) => candidate.name === moduleName)
      if (!source) throw new RangeError(`no module is named ${moduleName}`)
      module = driver.loadModule(compileModule(source, precision, driver.capability))
      loaded.set(moduleName, module)
    }
    const handle = driver.functionOf(module, name, sharedBytes)
    functions.set(key, handle)
    return handle
  }
}

/** Arguments in slots of 8 bytes, then the null-ended list of their addresses, in memory that does not move. */
function parametersOf(list: readonly Argument[], addressOf: (operand: Operand) => Handle): Handle {
  const koffi = loadKoffi()
  if (!koffi) throw new SluiceError('SLUICE_CUDA_LIBRARY', 'koffi has no binary for this platform', { fix: 'train with --device cpu' })
  const words = 2 * list.length + 1
  const memory = koffi.alloc('uint64_t', words)
  const start = koffi.address(memory)
  const view = new DataView(koffi.view(memory, words * 8))
  list.forEach((argument, index) => {
    const at = index * 8
    view.setBigUint64(at, 0n, true)
    if (argument.kind === 'i32') view.setInt32(at, argument.value, true)
    else if (argument.kind === 'f32') view.setFloat32(at, argument.value, true)
    else if (argument.kind !== 'null') view.setBigUint64(at, addressOf(argument), true)
    view.setBigUint64((list.length + index) * 8, start + BigInt(at), true)
  })
  view.setBigUint64(2 * list.length * 8, 0n, true)
  return start + BigInt(list.length * 8)
}
