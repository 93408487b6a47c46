import type { Key } from "../../Key.ts"

/** The values of one fork, by prompt, and the forks inside it. */
class Fork<V> {
  // The only prompt: a server has thousands of maps with one.
  #prompt: string | undefined
  #value: V | undefined
  // If there were several.
  #prompts: Map<string, V> | undefined
  inside: Map<string, Fork<V>> | undefined

  get(prompt: string): V | undefined {
    if (this.#prompts !== undefined) return this.#prompts.get(prompt)
    return prompt === this.#prompt ? this.#value : undefined
  }

  set(prompt: string, value: V): void {
    if (this.#prompts === undefined && this.#prompt !== undefined && this.#prompt !== prompt) {
      this.#prompts = new Map([[this.#prompt, this.#value!]])
    }
    if (this.#prompts !== undefined) this.#prompts.set(prompt, value)
    else {
      this.#prompt = prompt
      this.#value = value
    }
  }

  /** Returns whether there was a value. */
  delete(prompt: string): boolean {
    if (this.#prompts !== undefined) return this.#prompts.delete(prompt)
    if (this.#prompt !== prompt) return false
    this.#prompt = this.#value = undefined
    return true
  }

  get isEmpty(): boolean {
    const hasPrompts = this.#prompts === undefined ? this.#prompt !== undefined : this.#prompts.size > 0
    return !hasPrompts && !this.inside?.size
  }

  *values(): Iterable<V> {
    if (this.#prompts !== undefined) yield* this.#prompts.values()
    else if (this.#prompt !== undefined) yield this.#value!
  }
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
    return fork?.get(key.prompt)
  }

  set(key: Key, value: V): void {
    let fork = this.#rootOf(key)
    if (fork === undefined) fork = this.#addRoot(key)
    for (const name of key.path) {
      fork.inside ??= new Map()
      let inside = fork.inside.get(name)
      if (inside === undefined) fork.inside.set(name, inside = new Fork())
      fork = inside
    }
    fork.set(key.prompt, value)
  }

  delete(key: Key): void {
    let fork = this.#rootOf(key)
    const around: Array<Fork<V>> = []
    for (const name of key.path) {
      if (fork === undefined) return
      around.push(fork)
      fork = fork.inside?.get(name)
    }
    if (!fork?.delete(key.prompt)) return
    // Forks without values are dropped too.
    for (let i = around.length; i > 0 && fork.isEmpty;) {
      fork = around[--i]!
      fork.inside!.delete(key.path[i]!)
    }
  }

  *values(): Iterable<V> {
    const forks = this.#roots === undefined ? this.#root === undefined ? [] : [this.#root] : [...this.#roots.values()]
    for (const fork of forks) {
      yield* fork.values()
      for (const inside of fork.inside?.values() ?? []) forks.push(inside)
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
    const root = new Fork<V>()
    if (this.#identity !== undefined) {
      this.#roots ??= new Map([[this.#identity.id, this.#root!]])
      this.#roots.set(identity.id, root)
    }
    this.#identity = identity
    return this.#root = root
  }
}
