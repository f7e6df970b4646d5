// A transform of AssemblyScript's compiler (0.28) that gives a kernel a memory with addresses of 64 bits. The compiler can compute
// with them, but `asc` has no flag for it, and it does not tell the memory. For kernels that import a shared memory.

/** What is used of the compiler's program and of Binaryen's module. */
interface Program {
  readonly options: { target: number; readonly sizeTypeRef: number; readonly maximumMemory: number }
  readonly module: { sizeType: number }
}
interface Module {
  getNumDataSegments(): number
  setMemory(
    initial: number,
    maximum: number,
    exportName: null,
    segments: readonly [],
    isShared: boolean,
    isWide: boolean,
    internalName: string,
  ): void
  addMemoryImport(internalName: string, module: string, name: string, isShared: boolean): void
}

/** The compiler's Target.Wasm64. */
const WASM64 = 2
/** What the compiler calls the memory within a module. */
const MEMORY = '0'

export default class Memory64 {
  /** Set by asc. */
  declare readonly program: Program

  afterParse(): void {
    const { options, module } = this.program
    options.target = WASM64
    module.sizeType = options.sizeTypeRef // chosen when the program was made, for 32 bits
  }

  afterCompile(module: Module): void {
    if (module.getNumDataSegments() > 0) throw new TypeError('a kernel with a 64-bit memory has data, which this transform would lose')
    module.setMemory(0, this.program.options.maximumMemory, null, [], true, true, MEMORY)
    module.addMemoryImport(MEMORY, 'env', 'memory', true)
  }
}
