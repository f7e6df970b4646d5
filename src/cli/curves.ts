// `sluice curves`: the curves of a training run as a page, written to a file or served while the run goes on.

import { createServer, type Server } from 'node:http'
import { basename, join, resolve } from 'node:path'
import { Command } from 'commander'
import { TRAINING_LOG_FILE } from '../../schemas/training-log.ts'
import { TrainingLogReader } from '../audit/training-log.ts'
import { trainingPage } from '../audit/training-page.ts'
import { SluiceError } from '../core/errors.ts'
import { readLogStart } from '../train/log.ts'
import { CURVES_FILE, curvesFile } from './curves-file.ts'
import { wholeNumber } from './numbers.ts'

const PORT = 8421

export const command = new Command()
  .argument('<run>', 'folder that sluice train writes to')
  .option('--out <file>', `where the page goes (default: ${CURVES_FILE} in the folder)`)
  .option(
    '--serve [port]',
    `show the page to browsers on this machine instead, drawn anew each time it is loaded (port ${PORT})`,
    wholeNumber(1, 65_535),
  )
  .addHelpText(
    'after',
    `
Loss, bits per byte, norm of the gradient, learning rate, throughput, and the steps that were left out, in one HTML file without
scripts. sluice train keeps it up to date beside its log while it runs, and the page loads itself again until the run is done.

Examples:
  sluice curves models/quickstart
  sluice curves models/quickstart --serve          # then, on your own machine: ssh -L ${PORT}:localhost:${PORT} thathost`,
  )
  .action(async (run: string, { out, serve }: { readonly out?: string; readonly serve?: number | true }) => {
    const log = join(run, TRAINING_LOG_FILE)
    await readLogStart(run) // refuses a folder without one
    if (serve !== undefined) return await servePage(run, log, serve === true ? PORT : serve)
    const page = curvesFile(run, out)
    await page.finish()
    process.stdout.write(`${page.path}\n`)
  })

/** Until the process is stopped. Only this machine is answered: a log names addresses of documents' files. */
async function servePage(run: string, log: string, port: number): Promise<void> {
  const reader = new TrainingLogReader(log)
  let reading: Promise<unknown> = Promise.resolve()
  const server = createServer((request, response) => {
    if (request.url !== '/') return response.writeHead(404).end()
    reading = reading
      .then(async () => {
        const page = trainingPage(basename(resolve(run)), await reader.read())
        response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(page)
      })
      .catch((error: unknown) => response.writeHead(500).end(String(error)))
  })
  const address = await listen(server, port)
  process.stdout.write(`${address}\n`)
}

function listen(server: Server, port: number): Promise<string> {
  const { promise, resolve: listening, reject } = Promise.withResolvers<string>()
  server.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') return reject(error)
    reject(new SluiceError('SLUICE_PORT_TAKEN', `port ${port} is taken`, { fix: `give another: --serve ${port + 1}` }))
  })
  server.listen(port, '127.0.0.1', () => {
    const address = server.address()
    listening(`http://localhost:${address !== null && typeof address === 'object' ? address.port : port}/`)
  })
  return promise
}
