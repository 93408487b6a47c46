import { type JsonObject, parseObject } from "./json.ts"

/** A stream of events: https://html.spec.whatwg.org/multipage/server-sent-events.html */
export interface EventStream {
  /** The events. The last one is left out if it is cut. */
  readonly events: ReadonlyArray<JsonObject>
  /** Whether an event that is not the last one is no JSON object. */
  readonly isMalformed: boolean
  /** Whether the stream says that it ends. */
  readonly isDone: boolean
}

/** Reads a stream of events. Gives `undefined` for every other text. */
export const readEventStream = (body: string): EventStream | undefined => {
  if (!/^\s*(?:data|event|id|retry)?:/.test(body)) return undefined
  const texts = body.split(/(?:\r\n|\r|\n){2,}/).map(dataOf).filter((data) => data !== "")
  const isDone = texts.at(-1) === "[DONE]"
  const data = isDone ? texts.slice(0, -1) : texts
  const events = data.map(parseObject)
  const isCut = !isDone && events.at(-1) === undefined
  const whole = isCut ? events.slice(0, -1) : events
  const objects = whole.filter((event) => event !== undefined)
  return { events: objects, isMalformed: objects.length < whole.length, isDone }
}

const dataOf = (event: string): string =>
  event.split(/\r\n|\r|\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n")
