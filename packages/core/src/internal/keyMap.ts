import type { Key } from "../Key.ts"

/** A map by the value of its keys. A look-up costs one `Map.get` by prompt while keys have no fork path. */
export class KeyMap<V> {
  readonly #groups = new Map<string, Map<string, V>>()
  // All keys of one fork have one path.
  readonly #paths = new WeakMap<ReadonlyArray<string>, string>()
  #identity: Key["identity"] | undefined
  #unforked: Map<string, V> | undefined

  get(key: Key): V | undefined {
    return this.#group(key)?.get(key.prompt)
  }

  set(key: Key, value: V): void {
    let group = this.#group(key)
    if (group === undefined) {
      group = new Map()
      this.#groups.set(this.#groupId(key), group)
    }
    group.set(key.prompt, value)
  }

  delete(key: Key): void {
    const group = this.#group(key)
    if (group?.delete(key.prompt) && group.size === 0 && group !== this.#unforked) {
      this.#groups.delete(this.#groupId(key))
    }
  }

  *values(): Iterable<V> {
    for (const group of this.#groups.values()) yield* group.values()
  }

  #group(key: Key): Map<string, V> | undefined {
    if (key.path.length > 0) return this.#groups.get(this.#groupId(key))
    if (key.identity !== this.#identity || this.#unforked === undefined) {
      this.#unforked = this.#groups.get(this.#groupId(key))
      this.#identity = key.identity
    }
    return this.#unforked
  }

  #groupId({ identity, path }: Key): string {
    let id = this.#paths.get(path)
    if (id === undefined) this.#paths.set(path, id = JSON.stringify(path))
    return identity.id + id
  }
}
