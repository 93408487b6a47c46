import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, Identity, Trace } from "@llm-cache/core"
import type { StoreError } from "@llm-cache/core/SampleError"
import { Effect, Exit, Scheduler, Scope } from "effect"
import { makeExplanations } from "../src/internal/explanations.ts"
import { makeIndexes, type OpenTrace } from "../src/internal/indexes.ts"
import { makeDirectory } from "./support/pages.ts"

/** An explanation of a miss in an empty store, whose trace is read by `read`. */
const explaining = Effect.fnUntraced(function*(read: Effect.Effect<string | undefined, StoreError>) {
  const store = yield* DirectoryStore.make(yield* makeDirectory)
  const { explain } = yield* makeExplanations(store)
  const trace = { run: { id: "run" }, index: { promptText: () => read } } as unknown as OpenTrace
  const identity = yield* Identity.make({ model: "gpt-4o", temperature: 1 })
  return explain(trace, { key: { identity, path: [], promptHash: "5d" }, position: 0, row: 0 }, { wait: true })
})

describe("Two looks at the same time", () => {
  it.effect("at a miss find one explanation", () =>
    Effect.gen(function*() {
      let reads = 0
      const look = yield* explaining(Effect.suspend(() => {
        reads++
        return Effect.as(Effect.yieldNow, "A question")
      }))
      const [one, other] = yield* Effect.all([look, look], { concurrency: 2 })
      assert.isDefined(one)
      assert.strictEqual(one, other)
      assert.strictEqual(yield* look, one)
      assert.strictEqual(reads, 1)
    }))

  it.effect("at a trace that cannot be read both fail, and the next one tries again", () =>
    Effect.gen(function*() {
      let reads = 0
      const look = yield* explaining(Effect.suspend(() => {
        reads++
        return reads === 1
          ? Effect.andThen(Effect.yieldNow, Effect.fail("torn" as never))
          : Effect.succeed("A question")
      }))
      const looks = yield* Effect.all([Effect.exit(look), Effect.exit(look)], { concurrency: 2 })
      assert.isTrue(looks.every(Exit.isFailure))
      assert.strictEqual(reads, 1)
      assert.isDefined(yield* look)
      assert.strictEqual(reads, 2)
    }))

  it.effect("at a run read its trace once", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const scope = yield* Scope.make()
      const { run } = yield* Scope.provide(Trace.make({ directory, name: "one" }), scope)
      yield* Scope.close(scope, Exit.void)
      const { open } = yield* makeIndexes(directory)
      // Fibers take turns after a few steps.
      const look = Effect.provideService(open(run.id), Scheduler.MaxOpsBeforeYield, 3)
      const [one, other] = yield* Effect.all([look, look], { concurrency: 2 })
      assert.isDefined(one)
      assert.strictEqual(one, other)
      assert.strictEqual(yield* look, one)
    }))
})
