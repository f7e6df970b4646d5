// Loads a pipeline file: the module's default export is a pipeline, or a factory with arguments. Every process and every
// worker imports the module itself and builds the same pipeline from it; nothing is pickled.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import type { Pipeline, PipelineFactory } from './pipeline.ts'

export type PipelineExport = Pipeline | PipelineFactory

/** @throws SluiceError `SLUICE_PIPELINE_FILE` where the file is missing, does not load, or exports no pipeline */
export async function importPipeline(file: string): Promise<PipelineExport> {
  const path = resolve(file)
  if (!existsSync(path)) {
    throw new SluiceError('SLUICE_PIPELINE_FILE', 'the pipeline file does not exist', {
      where: { file },
      fix: 'check the path: it is relative to the current folder',
    })
  }
  let module: { default?: unknown }
  try {
    module = await import(pathToFileURL(path).href)
  } catch (cause) {
    throw fileError(cause, file, 'does not load')
  }
  if (!isPipelineExport(module.default)) {
    throw new SluiceError('SLUICE_PIPELINE_FILE', 'the pipeline file has no pipeline as its default export', {
      where: { file },
      fix: "end it with: export default pipeline('name').from(…).to(…), or withArguments(schema, (values) => pipeline(…))",
    })
  }
  return module.default
}

/**
 * @param file for error messages
 * @param values of the pipeline's own arguments, by name
 * @throws SluiceError `SLUICE_ARGUMENTS` where they do not fit the schema, `SLUICE_PIPELINE_FILE` where the factory fails
 */
export function buildPipeline(file: string, exported: PipelineExport, values: Record<string, unknown>): Pipeline {
  if (!('build' in exported)) {
    const [unknown] = Object.keys(values)
    if (unknown === undefined) return exported
    throw new SluiceError('SLUICE_ARGUMENTS', `this pipeline takes no arguments, but got "${unknown}"`, {
      fix: 'sluice run --help lists the options of run itself',
    })
  }
  const { error } = exported.parameters.safeParse(values)
  if (error)
    throw new SluiceError('SLUICE_ARGUMENTS', `the pipeline's arguments do not fit:\n${z.prettifyError(error)}`, {
      fix: 'sluice run <file> --help lists them',
      cause: error,
    })
  try {
    return exported.build(values)
  } catch (cause) {
    throw fileError(cause, file, 'builds no pipeline')
  }
}

/** What the user's own code threw, with its line; one of ours says enough. */
function fileError(cause: unknown, file: string, what: string): SluiceError {
  if (cause instanceof SluiceError) return cause
  return new SluiceError('SLUICE_PIPELINE_FILE', `the pipeline file ${what}: ${reason(cause)}`, {
    where: { file, ...place(cause, resolve(file)) },
    fix: 'mend the file; npx tsc --noEmit finds most such mistakes before a run',
    cause,
  })
}

function isPipelineExport(value: unknown): value is PipelineExport {
  return (
    typeof value === 'object' && value !== null && (('build' in value && 'parameters' in value) || ('steps' in value && 'sink' in value))
  )
}

function reason(error: unknown): string {
  if (error instanceof z.ZodError) return `an option does not fit:\n${z.prettifyError(error)}`
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

/** The innermost line of the user's own file in the stack. */
function place(error: unknown, path: string): { line?: number; column?: number } {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const at = stack.indexOf(path)
  const match = at < 0 ? undefined : /^:(\d+)(?::(\d+))?/.exec(stack.slice(at + path.length))
  return match ? { line: Number(match[1]), ...(match[2] ? { column: Number(match[2]) } : {}) } : {}
}
