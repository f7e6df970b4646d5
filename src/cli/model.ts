// `sluice model`: what a model is, and models for Hugging Face's transformers.

import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { TOKENIZER_FILE } from '../../schemas/tokens.ts'
import { formatCount } from '../core/format.ts'
import { writeWhole } from '../io/write-whole.ts'
import { flopsPerToken, parameterCount } from '../model/size.ts'
import { tokenizerFileOf } from '../train/checkpoint.ts'
import { loadModel } from '../train/load-model.ts'
import { writePretrained } from '../train/pretrained.ts'
import { readGgufModel } from '../train/pretrained-gguf.ts'

export const command = new Command().addHelpText(
  'after',
  `
A model is a folder that sluice train wrote to, one checkpoint in it, or a folder of Hugging Face's transformers (config.json and
model.safetensors) of the families gpt2, llama (SmolLM too), mistral, qwen2, qwen3, bert, modernbert and t5. All three do for
sluice sample, sluice predict and sluice train --init as well; the tokenizer.json lies beside. A GGUF file is imported first.

Examples:
  sluice model inspect models/quickstart
  sluice model export models/quickstart --out exported        # AutoModelForCausalLM.from_pretrained("exported")
  sluice model import SmolLM2-135M-Instruct.Q4_1.gguf --out SmolLM2-135M
  sluice sample SmolLM2-135M --prompt "Gravity is"
  sluice train corpora/mine --init SmolLM2-135M --out models/mine`,
)

command
  .command('inspect')
  .description('architecture, sizes, and what a token costs')
  .argument('<model>', 'folder of the model')
  .option('--json', 'as JSON')
  .action(async (folder: string, { json }: { readonly json?: boolean }) => {
    const { config, state, folder: found } = await loadModel(folder, console.error)
    const length = state.settings.length
    const facts = {
      folder: found,
      parameters: parameterCount(config),
      flopsPerToken: Math.round(flopsPerToken(config, { length })),
      labels: state.labels,
      config,
    }
    if (json) return void process.stdout.write(`${JSON.stringify(facts)}\n`)
    const lines = [
      ['parameters', formatCount(facts.parameters)],
      ['training costs', `${formatCount(facts.flopsPerToken)} floating-point operations a token, in rows of ${formatCount(length)}`],
      ...(facts.labels.length > 0 ? [['labels', facts.labels.join(', ')]] : []),
      ...Object.entries(config).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
    ]
    const width = Math.max(...lines.map(([name]) => name.length))
    process.stdout.write(lines.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join(''))
  })

command
  .command('export')
  .description("a folder that Hugging Face's transformers loads")
  .argument('<model>', 'folder of the model')
  .requiredOption('--out <folder>', 'new folder for config.json, model.safetensors and tokenizer.json')
  .action(async (model: string, { out }: { readonly out: string }) => {
    const loaded = await loadModel(model, console.error)
    await writePretrained(out, loaded, loaded.state.labels)
    const tokenizer = tokenizerFileOf(loaded.folder)
    if (tokenizer) await copyFile(tokenizer, join(out, TOKENIZER_FILE))
    process.stdout.write(`${out}\n`)
  })

command
  .command('import')
  .description('a folder of a model in one GGUF file, as llama.cpp has them: llama, qwen2 and qwen3, packed as Q4_K, Q6_K, Q8_0, …')
  .argument('<file>', 'file.gguf')
  .requiredOption('--out <folder>', 'new folder for config.json, model.safetensors and tokenizer.json')
  .action(async (file: string, { out }: { readonly out: string }) => {
    const { tokenizer, chatTemplate, ...model } = await readGgufModel(file)
    await writePretrained(out, model)
    if (tokenizer) await writeWhole(join(out, TOKENIZER_FILE), JSON.stringify(tokenizer))
    else process.stderr.write(`its tokenizer is of a kind that is not read here: put the model's ${TOKENIZER_FILE} beside\n`)
    if (chatTemplate) await writeWhole(join(out, 'tokenizer_config.json'), `${JSON.stringify({ chat_template: chatTemplate })}\n`)
    process.stdout.write(`${out}\n`)
  })
