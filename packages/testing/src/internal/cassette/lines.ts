import type { Key } from "@llm-cache/core/Key"
import type { Line } from "./line.ts"

/** Lines by the position of their key. */
export class Lines {
  // By prompt first: it is long, and as the key of a map it is not copied.
  readonly #prompts = new Map<string, Map<string, Line>>()

  get(key: Key, position: number): Line | undefined {
    return this.#prompts.get(key.prompt)?.get(placeOf(key, position))
  }

  set(line: Line): void {
    const { entry: { position }, key } = line
    let places = this.#prompts.get(key.prompt)
    if (places === undefined) this.#prompts.set(key.prompt, places = new Map())
    places.set(placeOf(key, position), line)
  }

  all(): ReadonlyArray<Line> {
    return [...this.#prompts.values()].flatMap((places) => [...places.values()])
  }
}

const placeOf = ({ identity, path }: Key, position: number): string =>
  path.length === 0 ? `${position} ${identity.id}` : `${position} ${identity.id} ${JSON.stringify(path)}`
