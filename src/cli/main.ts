// The `sluice` command. Each command is a file of its own beside this one, loaded when it is called: `sluice --help`
// must not wait for DuckDB.

import { Command } from 'commander'
import { describeError, packError, SluiceError } from '../core/errors.ts'
import { packageVersion } from '../core/version.ts'
import { onNotice } from '../io/notices.ts'
import { exitCodes } from './exit-codes.ts'

interface CommandFile {
  readonly command: Command
  /** More for `--help`, depending on the other words: the arguments of a pipeline, the options of a stage. */
  readonly extraHelp?: (words: readonly string[]) => Promise<string>
}

const commands: Record<string, { summary: string; load: () => Promise<CommandFile> }> = {
  run: { summary: 'run a pipeline file: plan, work, publish shards, resume where a run stopped', load: () => import('./run.ts') },
  plan: { summary: 'show what a run would do: phases, tasks, inputs, forecast', load: () => import('./plan.ts') },
  stage: { summary: 'try one stage on JSON-lines documents from standard input', load: () => import('./stage.ts') },
  warc: { summary: 'list, print, check and pack web archives: WARC, ARC, WACZ', load: () => import('./warc.ts') },
  ngram: { summary: 'train an n-gram language model, score texts with one', load: () => import('./ngram.ts') },
  tokenizer: { summary: 'train a tokenizer, encode and decode', load: () => import('./tokenizer.ts') },
  classifier: { summary: 'train, test, ask and shrink fastText classifiers', load: () => import('./classifier.ts') },
  tokens: { summary: 'inspect, count, verify, shuffle and mix token corpora', load: () => import('./tokens.ts') },
  export: { summary: 'write token corpora in the files of llm.c, Megatron-LM or datatrove', load: () => import('./export.ts') },
  train: { summary: 'train a model on token shards', load: () => import('./train.ts') },
  scaling: { summary: 'find a learning rate, foretell the loss of larger models from small ones', load: () => import('./scaling.ts') },
  model: { summary: 'say what a model is, export it for transformers', load: () => import('./model.ts') },
  sample: { summary: 'write text with a trained model', load: () => import('./sample.ts') },
  predict: { summary: 'label texts with a trained classifier', load: () => import('./predict.ts') },
  curves: { summary: "show a training run's curves in a browser, also while it runs", load: () => import('./curves.ts') },
  trace: { summary: 'name the documents in a step of a training run, or the steps of a document', load: () => import('./trace.ts') },
  audit: { summary: 'what a run kept, dropped and why: table on the terminal, report in HTML', load: () => import('./audit.ts') },
  diff: { summary: 'show on a sample where two pipelines disagree, and by which rule', load: () => import('./diff.ts') },
  index: { summary: 'inspect and tend an index of deduplication across builds', load: () => import('./index-command.ts') },
  task: { summary: 'run one task of a run: what executors call', load: () => import('./task.ts') },
  clusters: { summary: 'show groups of duplicates that a run found, or write them as data', load: () => import('./clusters.ts') },
  clean: { summary: 'remove what a finished run no longer needs', load: () => import('./clean.ts') },
  doctor: { summary: 'check this machine: Node, kernels, threads, disk', load: () => import('./doctor.ts') },
}

// A command that this one starts must be free to find its own Node again.
delete process.env.SLUICE_REEXECUTED
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done) // `sluice … | head`
  fail(error)
})

const program = new Command('sluice')
  .description('From raw web to trained weights in one TypeScript file.')
  .version(packageVersion)
  .showSuggestionAfterError()
  .addHelpText('after', '\nEach command has its own --help. Start with: sluice run pipelines/quickstart.ts')

/** What to do about errors of the system's that no code of ours has put into words. */
const SYSTEM_ADVICE: Record<string, string> = {
  ENOSPC: 'free some space on the disk, then run the same command again: what is finished stays',
  EDQUOT: 'the quota is used up: free some space, then run the same command again',
  EACCES: 'check the rights on this path',
  EPERM: 'check the rights on this path',
  EROFS: 'the file system is read-only: choose another folder',
  EEXIST: 'something of that name is there already: choose another',
  ENOENT: 'check the path',
  ENOTDIR: 'a part of this path is a file, not a folder',
  EISDIR: 'this path is a folder, not a file',
  EMFILE: 'raise the limit of open files (ulimit -n), or use fewer --threads',
}

onNotice((message) => process.stderr.write(`${message}\n`))

try {
  await addCommands(process.argv[2], process.argv.slice(3))
  await program.parseAsync()
} catch (error) {
  fail(error)
}

/** The one that is called is loaded; of the others the name and summary do. */
async function addCommands(called: string | undefined, words: readonly string[]): Promise<void> {
  for (const [name, { summary, load }] of Object.entries(commands)) {
    if (name !== called) {
      program.command(name).description(summary)
      continue
    }
    const { command, extraHelp } = await load()
    command.name(name).description(summary)
    for (const each of [command, ...command.commands]) each.showHelpAfterError('(--help lists the options)')
    if (extraHelp && words.some((word) => word === '--help' || word === '-h')) command.addHelpText('after', await extraHelp(words))
    program.addCommand(command)
  }
}

/** Prints an error as a person needs it and ends. A stack is shown only where the fault is ours. */
function fail(error: unknown): never {
  const packed = packError(error)
  const advice = SYSTEM_ADVICE[packed.code]
  if (packed.code === 'SLUICE_INTERNAL' || (!(error instanceof SluiceError) && advice === undefined)) {
    process.stderr.write(`sluice: unexpected error: ${packed.message}\n${packed.stack ?? ''}\n`)
    process.stderr.write('This is a fault in sluice, not in your input: please report it with the lines above.\n')
  } else process.stderr.write(`sluice: ${describeError({ ...packed, fix: packed.fix ?? advice })}\n`)
  process.exit(exitCodes.failed)
}
