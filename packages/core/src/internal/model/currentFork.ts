import * as Context from "effect/Context"

/** The part of a program that a fiber runs in. */
interface Fork {
  /** The names of the fiber's forks, the outermost first. */
  readonly path: ReadonlyArray<string>
  /** The names of the attempts since the last fork, without first attempts. The path of the next fork gets them. */
  readonly attempts: ReadonlyArray<string>
}

export const CurrentFork = Context.Reference<Fork>("@llm-cache/core/CurrentFork", {
  defaultValue: () => ({ path: [], attempts: [] })
})

/** Enters the fork of this name. */
export const enterFork = (name: string) => ({ attempts, path }: Fork): Fork => ({
  path: attempts.length === 0 ? [...path, name] : [...path, ...attempts, name],
  attempts: []
})

/** Enters the attempt of this number, from 1 on. */
// Scheduling decides how far the forks of a failed attempt came, so the next attempt gets forks of other paths.
export const enterAttempt = (number: number) => (fork: Fork): Fork =>
  number === 1 ? fork : { ...fork, attempts: [...fork.attempts, `attempt ${number}`] }
