/** Exit codes of every command, as `docs/cli.md` lists them. */
export const exitCodes = { done: 0, failed: 1, usage: 2, differ: 3, doNotRetry: 64, tryAgain: 75, interrupted: 130 }
