// A local OpenAI-compatible server that misbehaves as told: what a busy provider does on a bad day.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { z } from 'zod'

export interface Faults {
  /** Status of the first so many requests. */
  readonly busy?: readonly number[]
  readonly retryAfter?: string
  /** Bodies of the first so many good requests, in place of an answer. */
  readonly nonsense?: readonly string[]
  /** Milliseconds before each answer. */
  readonly delayMs?: number
  /** Requests whose body has this in it get that status. */
  readonly allergy?: { readonly to: string; readonly status: number }
  /** Closes the connection of the first so many requests. */
  readonly cuts?: number
  /** Embeddings come last first, as their indices say. */
  readonly reversed?: boolean
}

export interface ModelServer extends AsyncDisposable {
  readonly baseUrl: string
  readonly requests: { readonly path: string; readonly authorization?: string; readonly body: string }[]
}

const chatBody = z.object({ model: z.string(), messages: z.array(z.object({ content: z.string() })) })
const embeddingsBody = z.object({ model: z.string(), input: z.array(z.string()) })

/** @param reply the model's words on a question */
export async function serveModel(reply: (question: string) => string, faults: Faults = {}): Promise<ModelServer> {
  const requests: ModelServer['requests'] = []
  let good = 0
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const ordinal = requests.length
    const body = await text(request)
    requests.push({ path: request.url ?? '', authorization: request.headers.authorization, body })
    if (ordinal < (faults.cuts ?? 0)) return void request.socket.destroy()
    if (faults.delayMs) await new Promise((resolve) => setTimeout(resolve, faults.delayMs))
    const status = faults.busy?.[ordinal] ?? (faults.allergy && body.includes(faults.allergy.to) ? faults.allergy.status : 200)
    if (status !== 200)
      return void response.writeHead(status, { 'retry-after': faults.retryAfter ?? '0' }).end('{"error":{"message":"not now"}}')
    const nonsense = faults.nonsense?.[good++]
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(nonsense ?? JSON.stringify(request.url?.endsWith('/embeddings') ? embed(body, faults.reversed) : chat(body, reply)))
  }
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    baseUrl: `http://127.0.0.1:${address.port}/v1`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function chat(body: string, reply: (question: string) => string) {
  const { messages } = chatBody.parse(JSON.parse(body))
  return {
    choices: [{ message: { role: 'assistant', content: reply(messages[0].content) } }],
    usage: { prompt_tokens: 100, completion_tokens: 10 },
  }
}

/** Counts of the letters a to d. */
function embed(body: string, reversed = false) {
  const { input } = embeddingsBody.parse(JSON.parse(body))
  const data = input.map((text, index) => ({ index, embedding: ['a', 'b', 'c', 'd'].map((letter) => text.split(letter).length - 1) }))
  return { data: reversed ? data.reverse() : data, usage: { prompt_tokens: 5 * input.length } }
}
