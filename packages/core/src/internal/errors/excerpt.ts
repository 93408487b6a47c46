/** The part of a text around an index, as a quoted string. */
export const excerpt = (text: string, at: number, after = 30): string => {
  const from = Math.max(0, at - 20)
  const to = Math.min(text.length, at + after)
  return `${from > 0 ? "…" : ""}${JSON.stringify(text.slice(from, to).toWellFormed())}${to < text.length ? "…" : ""}`
}
