// Streams of chat completions, and the ways to mutilate them.

/** Chances that a seed decides. */
export interface Chance {
  /** A whole number below `n`. */
  readonly below: (n: number) => number
  readonly pick: <A>(list: ReadonlyArray<A>) => A
  readonly is: (probability: number) => boolean
}

// https://en.wikipedia.org/wiki/Xorshift, with its state spread for small seeds.
export const makeChance = (seed: number): Chance => {
  let state = (Math.imul(seed + 1, 0x9e37_79b1) ^ 0x5bd1_e995) >>> 0 || 1
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state = (state ^ (state << 5)) >>> 0
    return state / 2 ** 32
  }
  const below = (n: number) => Math.floor(next() * n)
  return { below, pick: (list) => list[below(list.length)]!, is: (probability) => next() < probability }
}

export type Chunk = Record<string, unknown>

/** The bytes that a server sends, in pieces. */
export interface Sent {
  readonly pieces: ReadonlyArray<Uint8Array>
  /** Whether the connection breaks behind them. */
  readonly isTorn: boolean
}

const texts = [
  "Grüße ",
  "😀",
  " ",
  "a\nb",
  "\u2028",
  "data: [DONE]\n\n",
  "{\"a\":",
  "long ".repeat(2000),
  "𝄞",
  "\ufeff"
]

const chunk = (delta: object, finish_reason: string | null = null): Chunk => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1_790_000_000,
  model: "m-1",
  choices: [{ index: 0, delta, finish_reason }]
})

const usageChunk: Chunk = {
  ...chunk({}),
  choices: [],
  usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 }
}

/** An answer in chunks, the usage behind its end. */
export const makeChunks = (chance: Chance): ReadonlyArray<Chunk> => {
  const some = (least: number) => Array.from({ length: least + chance.below(4) }, () => chance.pick(texts))
  const hasCalls = chance.is(0.5)
  const calls = Array.from({ length: hasCalls ? 1 + chance.below(3) : 0 }, (_, index) => {
    const text = JSON.stringify({ city: chance.pick(texts) })
    const at = chance.below(text.length)
    const piece = (fields: object) => chunk({ tool_calls: [{ index, ...fields }] })
    return [
      piece({ id: `call-${index}`, type: "function", function: { name: "weather", arguments: "" } }),
      piece({ function: { arguments: text.slice(0, at) } }),
      piece({ function: { arguments: text.slice(at) } })
    ]
  })
  return [
    chunk({ role: "assistant", content: "" }),
    ...(chance.is(0.3) ? some(1) : []).map((reasoning_content) => chunk({ reasoning_content })),
    ...some(hasCalls ? 0 : 1).map((content) => chunk({ content })),
    ...calls.flat(),
    chunk({}, hasCalls ? "tool_calls" : chance.pick(["stop", "length"])),
    usageChunk
  ]
}

const eventOf = (chunk: Chunk): string => `data: ${JSON.stringify(chunk)}\n\n`

const done = "data: [DONE]\n\n"

/** A stream with its end. */
export const bodyOf = (chunks: ReadonlyArray<Chunk>): string => chunks.map(eventOf).join("") + done

/** Cuts bytes anywhere, also in characters. */
const inPieces = (chance: Chance, bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
  const most = chance.pick([1, 3, 100, 10_000, bytes.length])
  if (bytes.length / most > 3000) return [bytes]
  const pieces: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length;) {
    const size = 1 + chance.below(most)
    pieces.push(bytes.subarray(at, at += size))
  }
  return pieces
}

const edited = (chunk: Chunk, edit: (choice: any) => object): Chunk => {
  const choices = chunk["choices"] as ReadonlyArray<object>
  return { ...chunk, choices: choices.map((choice) => ({ ...choice, ...edit(choice) })) }
}

// -----------------------------------------------------------------------------
// other forms of the same answer
// -----------------------------------------------------------------------------

const sameChunk = (chance: Chance, chunk: Chunk): Chunk => {
  const [choice] = chunk["choices"] as ReadonlyArray<any>
  if (choice === undefined) return chance.is(0.2) ? { ...chunk, choices: chance.pick([null, []]) } : chunk
  switch (chance.below(9)) {
    case 0:
      return edited(chunk, () => ({ index: undefined }))
    case 1:
      return edited(chunk, () => ({ index: null }))
    case 2:
      return edited(chunk, ({ delta }) => ({ delta: { ...delta, role: "assistant", audio: null, refusal: null } }))
    case 3:
      return { ...chunk, id: null, created: "yesterday", model: 7, usage: "much", system_fingerprint: [1] }
    case 4:
      return { ...chunk, choices: [{ index: 1, delta: { content: "another" }, finish_reason: null }, choice] }
    case 5:
      return { ...chunk, usage: { prompt_tokens: "7", completion_tokens: -1 } }
    case 6:
      return edited(chunk, ({ delta }) => ({
        logprobs: "none",
        delta: { content: null, tool_calls: null, reasoning: null, ...delta }
      }))
    default:
      return chunk
  }
}

// A server of one call may leave its index out, and repeat its id and its name.
const sameCalls = (chance: Chance, chunks: ReadonlyArray<Chunk>): ReadonlyArray<Chunk> => {
  const form = chance.below(4)
  if (form === 0) return chunks
  return chunks.map((chunk) =>
    edited(chunk, ({ delta }) => {
      const [piece] = delta.tool_calls ?? []
      if (piece === undefined) return {}
      const { id, index, ...fields } = piece
      const tool_calls = form === 1
        ? [{ ...fields, ...id && { id } }]
        : form === 2
        ? [{ id: `call-${index}`, ...fields }]
        : [{ index, id: `call-${index}`, ...fields }]
      return { delta: { ...delta, tool_calls } }
    })
  )
}

const between = (chance: Chance): string =>
  chance.pick([
    "",
    "",
    ": keep-alive\n\n",
    "\n\n",
    "id: 7\n",
    "retry: 100\n",
    "event: message\n",
    "data\n\n",
    "data:\n\n",
    "unknown: field\n",
    eventOf({ id: "chatcmpl-1", choices: [] }),
    eventOf(chunk({ content: "" })),
    eventOf(chunk({}))
  ])

/** The same answer in another form. */
export const harmless = (chance: Chance, chunks: ReadonlyArray<Chunk>): Sent => {
  const all = sameCalls(chance, chunks).map((chunk) => sameChunk(chance, chunk))
  const events = all.map((chunk) => between(chance) + eventOf(chunk))
  const body = chance.pick(["", "", "\ufeff"]) + events.join("") + chance.pick([done, done, "data:[DONE]", ""])
  const lines = chance.pick(["\n", "\n", "\r\n", "\r"])
  const text = chance.is(0.2) ? body.trimEnd() : body
  return { pieces: inPieces(chance, Buffer.from(text.replaceAll("\n", lines))), isTorn: false }
}

// -----------------------------------------------------------------------------
// broken streams
// -----------------------------------------------------------------------------

/** A stream that is cut at any byte, and whether the model was done before. */
export const cutAt = (chance: Chance, chunks: ReadonlyArray<Chunk>) => {
  const events = chunks.map(eventOf)
  const bytes = Buffer.from(events.join("") + done)
  const isLate = chance.is(0.4)
  const whole = Buffer.byteLength(events.slice(0, -1).join(""))
  const at = isLate ? whole - 4 + chance.below(bytes.length - whole + 4) : chance.below(whole)
  const isTorn = chance.is(0.5)
  // The JSON of the end is whole without its empty line, if nothing is said of a break.
  return { sent: { pieces: inPieces(chance, bytes.subarray(0, at)), isTorn }, isDone: at >= whole - (isTorn ? 0 : 2) }
}

/** A stream with an event that is an error or no JSON, before its end. */
export const badEvents = (chance: Chance, chunks: ReadonlyArray<Chunk>): Sent => {
  const events = chunks.map(eventOf)
  const bad = chance.pick([
    "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n",
    "data: {\"error\":\"overloaded\"}\n\n",
    "event: error\ndata: {\"message\":\"overloaded\"}\n\n",
    "event: error\ndata: overloaded\n\n",
    "data: {\"choices\":[{\"index\":0,\n\n",
    "data: nonsense\n\n",
    "data: [1]\n\n",
    "data: null\n\n",
    eventOf(edited(chunk({}, "error"), () => ({ error: { message: "broken" } }))),
    eventOf(chunk({}, "error"))
  ])
  // Behind the end of the model, the usage may be broken.
  events.splice(chance.below(events.length - 1), 0, bad)
  return { pieces: inPieces(chance, Buffer.from(events.join("") + done)), isTorn: false }
}

/** A stream with a piece of another type than the protocol says, which held a part of the answer. */
export const brokenFields = (chance: Chance, chunks: ReadonlyArray<Chunk>): ReadonlyArray<Chunk> => {
  const at = chance.below(chunks.length - 2)
  const odd = chance.pick<any>(["odd", 7, true, {}])
  const break_ = (chunk: Chunk): Chunk => {
    switch (chance.below(5)) {
      case 0:
        return { ...chunk, choices: odd }
      case 1:
        return { ...chunk, choices: [chance.pick([null, "odd", 7, []])] }
      case 2:
        return edited(chunk, () => ({ delta: chance.pick(["odd", 7, [], [{}]]) }))
      case 3:
        return edited(chunk, ({ delta }) => ({ delta: { ...delta, content: chance.pick([7, true, {}]) } }))
      default:
        return edited(chunk, ({ delta }) => ({
          delta: { ...delta, tool_calls: chance.pick([odd, [null], ["odd"], [{ index: 0, function: "odd" }]]) }
        }))
    }
  }
  return chunks.map((chunk, i) => i === at ? break_(chunk) : chunk)
}

/** A stream whose events and bytes are lost, repeated, moved and changed. */
export const mixedUp = (chance: Chance, chunks: ReadonlyArray<Chunk>): Sent => {
  const events = [...chunks.map(eventOf), done]
  for (let i = 1 + chance.below(3); i > 0; i--) {
    const at = chance.below(events.length)
    const [event = ""] = chance.is(0.5) ? events.splice(at, 1) : [events[at]]
    if (chance.is(0.7)) events.splice(chance.below(events.length + 1), 0, event)
  }
  const bytes = Buffer.from(events.join(""))
  for (let i = chance.below(4); i > 0 && bytes.length > 0; i--) bytes[chance.below(bytes.length)] = chance.below(256)
  return { pieces: inPieces(chance, bytes), isTorn: chance.is(0.2) }
}
