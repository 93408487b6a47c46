/** Estimates the tokens of a request before it is sent: a token for four bytes of text, and those of the samples. */
export const estimateTokens = (
  { outputTokens = 500, samples, texts }: {
    readonly texts: ReadonlyArray<string>
    readonly samples: number
    /** The limit for the tokens of one sample, if there is one. */
    readonly outputTokens: number | undefined
  }
): number => {
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  return Math.ceil(bytes / 4) + samples * outputTokens
}
