// The `sluice` command. Each command is a file of its own beside this one, loaded when it is called: `sluice --help`
// must not wait for DuckDB.

import { Command } from 'commander'
import { describeError, packError, SluiceError } from '../core/errors.ts'
import { packageVersion } from '../core/version.ts'

interface CommandFile {
  /** Given the program, so that options of all commands read the same in `--help`. */
  readonly command: Command
}

const commands: Record<string, { summary: string; load: () => Promise<CommandFile> }> = {
  run: { summary: 'run a pipeline file: plan, work, publish shards, resume where a run stopped', load: () => import('./run.ts') },
  plan: { summary: 'show what a run would do: phases, tasks, inputs, forecast', load: () => import('./plan.ts') },
  stage: { summary: 'try one stage on JSON-lines documents from standard input', load: () => import('./stage.ts') },
  warc: { summary: 'list, print, check and pack WARC files', load: () => import('./warc.ts') },
  tokenizer: { summary: 'train a tokenizer, encode and decode', load: () => import('./tokenizer.ts') },
  train: { summary: 'train a model on token shards', load: () => import('./train.ts') },
  sample: { summary: 'write text with a trained model', load: () => import('./sample.ts') },
  audit: { summary: 'what a run kept, dropped and why: table on the terminal, report in HTML', load: () => import('./audit.ts') },
  task: { summary: 'run one task of a run: what executors call', load: () => import('./task.ts') },
  clean: { summary: 'remove what a finished run no longer needs', load: () => import('./clean.ts') },
  doctor: { summary: 'check this machine: Node, kernels, threads, disk', load: () => import('./doctor.ts') },
}

/** Exit codes of every command, as `docs/cli.md` lists them. */
export const exitCodes = { done: 0, failed: 1, usage: 2, tryAgain: 75, doNotRetry: 64, interrupted: 130 }

// A command that this one starts must be free to find its own Node again.
delete process.env.SLUICE_REEXECUTED
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done) // `sluice … | head`
  throw error
})

const program = new Command('sluice')
  .description('From raw web to trained weights in one TypeScript file.')
  .version(packageVersion)
  .showSuggestionAfterError()
  .addHelpText('after', '\nEach command has its own --help. Start with: sluice run pipelines/quickstart.ts')

const name = process.argv[2]
for (const [commandName, { summary, load }] of Object.entries(commands)) {
  if (commandName === name)
    program.addCommand((await load()).command.name(commandName).description(summary).showHelpAfterError('(--help lists the options)'))
  else program.command(commandName).description(summary)
}

try {
  await program.parseAsync()
} catch (error) {
  fail(error)
}

/** Prints an error as a person needs it and ends. A stack is shown only where the fault is ours. */
function fail(error: unknown): never {
  if (error instanceof SluiceError) process.stderr.write(`sluice: ${describeError(error)}\n`)
  else {
    const packed = packError(error)
    process.stderr.write(`sluice: unexpected error: ${packed.message}\n${packed.stack ?? ''}\n`)
    process.stderr.write('This is a fault in sluice, not in your input: please report it with the lines above.\n')
  }
  process.exit(exitCodes.failed)
}
