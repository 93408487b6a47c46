import * as Predicate from "effect/Predicate"
import type { Identity } from "../../Identity.ts"
import { parseJson } from "../../StoreRow.ts"
import type { KeyTable } from "./decode.ts"
import type { TracedKey } from "./entry.ts"
import { Interner } from "./interner.ts"
import { Numbers } from "./numbers.ts"

/** The most forks that are told apart. Others count for the nearest one around them. */
const mostForks = 50_000

/** The forks of a run. Number 0 is outside of forks. */
export class Forks {
  readonly paths: Array<ReadonlyArray<string>> = [[]]
  /** Hashes of the paths. */
  readonly hashes = [hash32("[]")]
  readonly #numbers = new Map<string, number>([["[]", 0]])

  numberOf(path: ReadonlyArray<string>): number {
    const name = JSON.stringify(path)
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    const above = this.numberOf(path.slice(0, -1))
    if (this.paths.length >= mostForks) return above
    this.#numbers.set(name, this.paths.length)
    this.hashes.push(hash32(name))
    return this.paths.push(path) - 1
  }

  find(path: ReadonlyArray<string>): number | undefined {
    return this.#numbers.get(JSON.stringify(path))
  }
}

/** Another program changed a file while it was read. */
export class ChangedError extends Error {}

/** The keys of a trace in some 20 bytes each: their lines stay in the file. */
export class CompactKeys implements KeyTable {
  readonly forks = new Forks()
  readonly prompts = new Interner()
  readonly #lineAt: (offset: number) => string
  readonly #identities: Array<Identity>
  readonly #offsets = new Numbers()
  readonly #identityOf = new Numbers()
  readonly #forkOf = new Numbers()
  /** By key: how much greater its number is than that of its prompt. The difference is small, and takes less memory. */
  readonly #beyondPrompt = new Numbers()
  /** By prompt: one more than the number of its last key, as a difference to its own. */
  readonly #lastKey = new Numbers()
  /** By key: one more than the number of the key before it with the same prompt. */
  readonly #before = new Numbers()
  /** The offset of the line that is decoded. */
  offset = 0

  constructor(identities: Array<Identity>, lineAt: (offset: number) => string) {
    this.#identities = identities
    this.#lineAt = lineAt
  }

  get length(): number {
    return this.#offsets.length
  }

  set(number: number, { identity, path, promptHash }: TracedKey): void {
    // A key without a line before it is damage, which the lines that name it show.
    if (number !== this.length) return
    const prompt = this.prompts.numberOf(...this.#pairOf(identity, promptHash))
    this.#offsets.set(number, this.offset)
    this.#identityOf.set(number, this.#identities.indexOf(identity))
    this.#forkOf.set(number, this.forks.numberOf(path))
    this.#beyondPrompt.set(number, number - prompt)
    this.#before.set(number, this.#lastKeyOf(prompt))
    this.#lastKey.set(prompt, number + 1 - prompt)
  }

  get(number: number): TracedKey | undefined {
    return number < this.length ? new CompactKey(this, number) : undefined
  }

  identityOf(number: number): Identity {
    return this.#identities[this.#identityOf.get(number)]!
  }

  identityNumberOf(number: number): number {
    return this.#identityOf.get(number)
  }

  forkOf(number: number): number {
    return this.#forkOf.get(number)
  }

  promptOf(number: number): number {
    return number - this.#beyondPrompt.get(number)
  }

  promptHashOf(number: number): string {
    const line = parseJson(this.#lineAt(this.#offsets.get(number)))
    if (!Predicate.hasProperty(line, "hash")) throw new ChangedError()
    return String(line.hash)
  }

  /** The number of a prompt of an identity, `undefined` if the run has none. */
  findPrompt(identity: Identity, promptHash: string): number | undefined {
    return this.prompts.find(...this.#pairOf(identity, promptHash))
  }

  /** The prompts of an identity with some first digits of their hashes. Only eight digits count. */
  promptsStarting(identity: Identity, start: string): ReadonlyArray<number> {
    const digits = start.slice(0, 8)
    if (!/^[0-9a-f]+$/.test(digits)) return []
    const shift = 32 - 4 * digits.length
    const wanted = Number.parseInt(digits, 16)
    const salt = hash32(identity.id)
    const found: Array<number> = []
    for (let prompt = 0; prompt < this.prompts.length; prompt++) {
      const isOfIdentity = this.identityOf(this.#lastKeyOf(prompt) - 1).id === identity.id
      if (isOfIdentity && ((this.prompts.high(prompt) ^ salt) >>> 0) >>> shift === wanted) found.push(prompt)
    }
    return found
  }

  /** The keys of a prompt, in the order of their lines. */
  keysOf(prompt: number): ReadonlyArray<number> {
    const keys: Array<number> = []
    for (let key = this.#lastKeyOf(prompt); key > 0; key = this.#before.get(key - 1)) keys.push(key - 1)
    return keys.toReversed()
  }

  /** `-1` for an identity that the run does not have. */
  identityNumber(identity: Identity): number {
    return this.#identities.findIndex(({ id }) => id === identity.id)
  }

  /** A number that is the same in all runs for a key: 32 bits of it, and 32 others. */
  signature(number: number): readonly [high: number, low: number] {
    const prompt = this.promptOf(number)
    return [(this.prompts.high(prompt) ^ this.forks.hashes[this.forkOf(number)]!) >>> 0, this.prompts.low(prompt)]
  }

  /** One more than the number of the last key of a prompt, 0 without one. */
  #lastKeyOf(prompt: number): number {
    const difference = this.#lastKey.get(prompt)
    return difference === 0 ? 0 : difference + prompt
  }

  /** 64 bits of the hash, which differ for two identities. */
  #pairOf(identity: Identity, promptHash: string): [high: number, low: number] {
    const part = (from: number) => Number.parseInt(promptHash.slice(from, from + 8), 16)
    return [(part(0) ^ hash32(identity.id)) >>> 0, part(8) >>> 0]
  }
}

/** FNV-1a. */
const hash32 = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

class CompactKey implements TracedKey {
  readonly #keys: CompactKeys
  readonly #number: number

  constructor(keys: CompactKeys, number: number) {
    this.#keys = keys
    this.#number = number
  }

  get identity(): Identity {
    return this.#keys.identityOf(this.#number)
  }

  get path(): ReadonlyArray<string> {
    return this.#keys.forks.paths[this.#keys.forkOf(this.#number)]!
  }

  get promptHash(): string {
    return this.#keys.promptHashOf(this.#number)
  }
}
