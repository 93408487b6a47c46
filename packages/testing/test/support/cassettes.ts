// Tests with a cassette in a folder.
import { Cause, Effect, Exit, Layer } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Cassette, TestModel } from "../../src/index.ts"

/** Variables of the environment, as long as the effect runs. */
export const withEnvironment = (variables: Record<string, string | undefined>) =>
<A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  const set = (values: Record<string, string | undefined>) =>
    Effect.sync(() => {
      const before = Object.fromEntries(Object.keys(values).map((name) => [name, process.env[name]]))
      for (const [name, value] of Object.entries(values)) {
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
      return before
    })
  return Effect.acquireUseRelease(set(variables), () => self, set)
}

export const outsideCi = withEnvironment({ CI: undefined })
export const inCi = withEnvironment({ CI: "true" })

/** A test with a cassette in a folder, over a model that counts its samples. */
export const recorded =
  (options: Cassette.Options & { readonly name?: string }, model?: TestModel.Options) =>
  <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.gen(function*() {
      const value = yield* self
      const { requests } = yield* TestModel.TestModel
      return { value, sent: requests.length, cassette: yield* Cassette.Cassette }
    }).pipe(
      Effect.provide(Cassette.layer(options.name ?? "agent", options).pipe(Layer.provideMerge(TestModel.layer(model))))
    )

/** The error that a test without a typed error ends with. */
export const defectOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(self), (exit) => Exit.isFailure(exit) ? Cause.squash(exit.cause) as Error : undefined)

export const linesOf = (directory: string, name = "agent") =>
  Fs.readFileSync(Path.join(directory, `${name}.jsonl`), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line))

const notTail = <A>(value: A): A => value

/** A layer that is named deep in helpers of tests. */
export const deepLayer = (name: string, depth = 20): ReturnType<typeof Cassette.layer> =>
  depth === 0 ? Cassette.layer(name) : notTail(deepLayer(name, depth - 1))

/** Makes the file of a cassette older than this run. */
export const makeOld = (directory: string, name = "agent") => Fs.utimesSync(Path.join(directory, `${name}.jsonl`), 0, 0)
