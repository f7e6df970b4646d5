// The public surface of `sluice/tokenizer`: text to ids and back, and conversations as a model reads them.

export { SluiceError } from '../core/errors.ts'
export {
  applyChatTemplate,
  assistantMask,
  type ChatOptions,
  type ChatTemplate,
  loadChatTemplate,
  type Message,
  renderChat,
} from './chat.ts'
export type { Frame } from './post-processors.ts'
export { type LoadedTokenizer, loadTokenizer, type Tokenizer, type TokenStream } from './tokenizer.ts'
