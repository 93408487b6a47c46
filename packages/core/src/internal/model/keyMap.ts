import type { Key } from "../../Key.ts"

/** The values of one fork, by prompt, and the forks inside it. */
interface Fork<V> {
  readonly prompts: Map<string, V>
  inside: Map<string, Fork<V>> | undefined
}

/** A map by the value of its keys. A look-up costs a `Map.get` by prompt, and one more for each fork of the key's path. */
export class KeyMap<V> {
  // Of the last key: most keys have the same.
  #identity: Key["identity"] | undefined
  #root: Fork<V> | undefined
  // If there are several: a server has thousands of maps with one.
  #roots: Map<string, Fork<V>> | undefined

  get(key: Key): V | undefined {
    let fork = this.#rootOf(key)
    for (const name of key.path) fork = fork?.inside?.get(name)
    return fork?.prompts.get(key.prompt)
  }

  set(key: Key, value: V): void {
    let fork = this.#rootOf(key)
    if (fork === undefined) fork = this.#addRoot(key)
    for (const name of key.path) {
      fork.inside ??= new Map()
      let inside = fork.inside.get(name)
      if (inside === undefined) fork.inside.set(name, inside = makeFork())
      fork = inside
    }
    fork.prompts.set(key.prompt, value)
  }

  delete(key: Key): void {
    let fork = this.#rootOf(key)
    const around: Array<Fork<V>> = []
    for (const name of key.path) {
      if (fork === undefined) return
      around.push(fork)
      fork = fork.inside?.get(name)
    }
    if (!fork?.prompts.delete(key.prompt)) return
    // Forks without values are dropped too.
    for (let i = around.length; i > 0 && fork.prompts.size === 0 && !fork.inside?.size;) {
      fork = around[--i]!
      fork.inside!.delete(key.path[i]!)
    }
  }

  *values(): Iterable<V> {
    const forks = this.#roots === undefined ? this.#root === undefined ? [] : [this.#root] : [...this.#roots.values()]
    for (const { inside, prompts } of forks) {
      yield* prompts.values()
      for (const fork of inside?.values() ?? []) forks.push(fork)
    }
  }

  #rootOf({ identity }: Key): Fork<V> | undefined {
    if (identity === this.#identity) return this.#root
    const root = identity.id === this.#identity?.id ? this.#root : this.#roots?.get(identity.id)
    if (root === undefined) return undefined
    this.#identity = identity
    return this.#root = root
  }

  #addRoot({ identity }: Key): Fork<V> {
    const root = makeFork<V>()
    if (this.#identity !== undefined) {
      this.#roots ??= new Map([[this.#identity.id, this.#root!]])
      this.#roots.set(identity.id, root)
    }
    this.#identity = identity
    return this.#root = root
  }
}

const makeFork = <V>(): Fork<V> => ({ prompts: new Map(), inside: undefined })
