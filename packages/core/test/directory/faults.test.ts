import { assert, it } from "@effect/vitest"
import { Key, LlmModel, Persistent } from "@llm-cache/core"
import { Effect, Exit, Result } from "effect"
import { originalFolder } from "../support/caches.ts"
import { makeDirectory, samplesIn } from "../support/directory.ts"
import { patched } from "../support/patched.ts"
import { makeProvider, using } from "../support/provider.ts"
import { directoryStore } from "../support/stack.ts"

it.effect("a passing fault costs no sample once the write-ahead log has the request", () =>
  Effect.gen(function*() {
    for (let failing = 1; failing <= 8; failing++) {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      yield* Effect.scoped(Effect.gen(function*() {
        const store = yield* directoryStore(root)
        const model = yield* Persistent.make(provider.model, store)
        // All further writes are those of the request.
        yield* store.prepare(new Key.Key(provider.model.identity, "p", []))
        let writes = 0
        const faulty = patched(["writeFileSync", "appendFileSync", "linkSync"], (_, original) => (...args) => {
          if (++writes === failing) throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" })
          return original(...args)
        })
        const exit = yield* LlmModel.sampleMany("p", 3).pipe(using(model), faulty, Effect.exit)
        // The first two write the log.
        assert.strictEqual(Exit.isSuccess(exit), failing > 2, `${failing} ${exit}`)
        assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 3).pipe(using(model)), provider.given)
        assert.deepStrictEqual(provider.requests, [3])
      }))
    }
  }))

it.effect("a disk that is full halfway leaves no part of a sample, and loses no sample", () =>
  Effect.gen(function*() {
    for (const n of [1, 3]) {
      // Each write of the request in turn.
      for (let failing = 1; failing <= 12; failing++) {
        const root = yield* makeDirectory
        const provider = yield* makeProvider()
        const folder = originalFolder(root, "mock", "1", "p")
        yield* Effect.scoped(Effect.gen(function*() {
          const model = yield* Persistent.make(provider.model, yield* directoryStore(root))
          let writes = 0
          const full = patched(["writeFileSync", "appendFileSync", "linkSync"], (name, original) => (...args) => {
            if (++writes < failing) return original(...args)
            if (name !== "linkSync") original(args[0], String(args[1]).slice(0, 3), ...args.slice(2))
            throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" })
          })
          const exit = yield* LlmModel.sampleMany("p", n).pipe(using(model), full, Effect.exit)
          if (Exit.isFailure(exit)) assert.strictEqual(Exit.findError(exit).pipe(Result.getOrThrow)._tag, "StoreError")
          for (const text of Object.values(samplesIn(folder))) assert.include(provider.given, text)
          assert.sameMembers(yield* LlmModel.sampleMany("p", n).pipe(using(model)), provider.given)
          assert.strictEqual(provider.requests.length, 1)
          assert.sameMembers(Object.values(samplesIn(folder)), provider.given)
        }))
      }
    }
  }))
