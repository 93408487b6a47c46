import * as Context from "effect/Context"

/** The part of a program that a fiber runs in. */
interface Fork {
  /** The names of the forks that lead to it, the outermost first. */
  readonly path: ReadonlyArray<string>
  /**
   * The names of the attempts that it is in since its last fork, but for first ones. They come before the name of the
   * next fork: how far the forks of an attempt came before it failed depends on scheduling, so the next attempt's are
   * not theirs.
   */
  readonly attempts: ReadonlyArray<string>
}

export const CurrentFork = Context.Reference<Fork>("@llm-cache/core/CurrentFork", {
  defaultValue: () => ({ path: [], attempts: [] })
})

/** The fork of this name inside a fork. */
export const into = (name: string) => ({ attempts, path }: Fork): Fork => ({
  path: attempts.length === 0 ? [...path, name] : [...path, ...attempts, name],
  attempts: []
})

/** The attempt of this number, from 1 on, inside a fork. */
export const again = (attempt: number) => (fork: Fork): Fork =>
  attempt === 1 ? fork : { ...fork, attempts: [...fork.attempts, `attempt ${attempt}`] }
