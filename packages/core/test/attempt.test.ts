import { assert, describe, it } from "@effect/vitest"
import {
  Attempt,
  Audit,
  Fork,
  Identity,
  Independent,
  type IndependentModel,
  LlmModel,
  MemoryStore,
  Persistent,
  RepeatableModel,
  SampleError,
  SampleStore
} from "@llm-cache/core"
import { Cause, Data, Effect, Exit, Fiber, Random, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { makeDirectory } from "./support/directory.ts"
import { makeGate, makeProvider, using } from "./support/provider.ts"
import { handedOut, watchedIndependent } from "./support/stack.ts"

class Refused extends Data.TaggedError("Refused")<{ readonly answer: string }> {}

/** Draws one prompt twice and another once, and accepts only the expected sample. */
const attempt = (accepted: string) =>
  Effect.gen(function*() {
    const first = yield* LlmModel.sampleOne("a")
    assert.strictEqual(yield* RepeatableModel.sampleOne("a"), first)
    yield* LlmModel.sampleOne(`b of ${first}`)
    return first === accepted ? first : yield* new Refused({ answer: first })
  })

const errors = {
  miss: (path: string) =>
    new SampleError.ReplicationCacheMiss({
      identity: Effect.runSync(Identity.make({ model: "m" })),
      prompt: "",
      promptHash: "",
      path: [],
      position: 0,
      present: [],
      store: path,
      nearest: undefined
    }),
  provider: (reason: SampleError.ProviderErrorReason) => new SampleError.ProviderError({ provider: "mock", reason }),
  store: (kind: SampleError.StoreError["kind"]) =>
    new SampleError.StoreError({ kind, store: "s", operation: "get", description: "" })
}

/** All functions of `Attempt`, each with a single attempt. */
const each = <A, E, R>(one: Effect.Effect<A, E, R>): ReadonlyArray<
  Effect.Effect<
    { readonly value: A },
    E | Attempt.AttemptsExhausted<E> | SampleError.InvalidInput,
    Exclude<R, Attempt.ProvidedModels> | IndependentModel.IndependentModel
  >
> => [
  Attempt.retry(one, { times: 0 }),
  Attempt.race(one, { n: 1 }),
  Attempt.best(one, { n: 1, score: () => 0 })
]

describe("Each attempt", () => {
  it.effect("keeps the caller's scope", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const released: Array<string> = []
      const acquire = Effect.acquireRelease(
        LlmModel.sampleOne("a"),
        (text) => Effect.sync(() => released.push(text))
      )
      for (const one of each(acquire)) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { value } = yield* one
          assert.deepStrictEqual(released, [])
          return value
        })).pipe(Effect.provide(watchedIndependent), using(provider.model))
        assert.strictEqual(released.splice(0).length, 1)
      }
    }))

  it.effect("ends its unfinished draws, and nothing else", () =>
    Effect.gen(function*() {
      for (const kind of [0, 1, 2]) {
        const provider = yield* makeProvider()
        const gate = yield* makeGate
        provider.gate = gate.wait
        const leaving = Effect.gen(function*() {
          const left = yield* Effect.forkDetach(LlmModel.sampleOne("a"))
          while (provider.requests.length === 0) yield* Effect.yieldNow
          return left
        })
        yield* Effect.gen(function*() {
          const { value: left } = yield* each(leaving)[kind]!
          yield* gate.open
          assert.isTrue(Exit.hasDies(yield* Fiber.await(left)))
          // The next draw gets the sample of the interrupted one.
          const next = LlmModel.sampleOne("a")
          assert.strictEqual(yield* (kind === 0 ? next : Fork.fork(next, "0")), "a #0")
        }).pipe(Effect.provide(watchedIndependent), using(provider.model))
      }
    }))

  it.effect("ends the program if it dies, without another attempt", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      let attempts = 0
      const broken = Effect.gen(function*() {
        attempts++
        const index = (yield* Fork.path)[0] ?? "0"
        return index === "0" ? yield* Effect.die("broken") : yield* Effect.as(Effect.yieldNow, index)
      })
      const all = [
        [Effect.asVoid(Attempt.retry(broken, { times: 3 })), 1],
        [Effect.asVoid(Attempt.race(broken, { n: 3 })), 1],
        [Effect.asVoid(Attempt.best(broken, { n: 3, score: () => 0 })), 1],
        [Effect.asVoid(Attempt.best(Effect.void, { n: 3, score: () => Effect.die("broken") })), 0]
      ] as const
      for (const [one, made] of all) {
        attempts = 0
        const exit = yield* one.pipe(
          Effect.provide(watchedIndependent),
          using(provider.model),
          Effect.exit
        )
        assert.deepStrictEqual(exit, Exit.die("broken"))
        assert.strictEqual(attempts, made)
      }
    }))

  it.effect("fails with a non-retryable error if several errors occur", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const key = errors.provider(new SampleError.BadKey({ description: "d" }))
      for (const one of each(Effect.andThen(LlmModel.sampleOne("a"), Effect.fail(key)))) {
        assert.strictEqual(yield* Effect.flip(Effect.provide(one, watchedIndependent)).pipe(using(provider.model)), key)
      }
    }))
})

describe("AttemptsExhausted", () => {
  it.effect("has the last attempt's error in its message and as its cause", () =>
    Effect.sync(() => {
      const messageOf = (error: unknown) => new Attempt.AttemptsExhausted({ errors: [1, error] }).message
      assert.strictEqual(messageOf(new Error("no")), "No attempt of 2 succeeded. The last one failed with: no")
      assert.match(messageOf("no"), /with: no$/)
      assert.match(messageOf(new Refused({ answer: "b" })), /with: {"answer":"b","_tag":"Refused"}$/)
      assert.match(messageOf({ _tag: "Plain", answer: "b" }), /with: {"_tag":"Plain","answer":"b"}$/)
      const inner = errors.provider(new SampleError.ServerFault({ description: "it is down" }))
      const pretty = Cause.pretty(Cause.fail(new Attempt.AttemptsExhausted({ errors: [inner] })))
      assert.match(pretty, /\[cause\]: ProviderError: .*it is down/)
    }))
})

describe("Attempt.retry", () => {
  it.effect("makes attempts until one succeeds, each with new samples", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeProvider()
      const program = Effect.all([Attempt.retry(attempt("a #4"), { schedule: Schedule.recurs(9) }), handedOut]).pipe(
        Effect.provide(watchedIndependent),
        Effect.provide(Persistent.layer({ directory })),
        using(provider.model)
      )
      const result = yield* program
      assert.deepStrictEqual(result, [
        { value: "a #4", attempts: 3, lastError: new Refused({ answer: "a #2" }) },
        { a: [3, 3], "b of a #0": [1, 1], "b of a #2": [1, 1], "b of a #4": [1, 1] }
      ])
      assert.strictEqual(provider.requests.length, 6)
      // A replay from the cache gives the same.
      assert.deepStrictEqual(yield* program, result)
      assert.strictEqual(provider.requests.length, 6)
    }))

  it.effect("fails with the errors of all attempts when the schedule ends", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const error = yield* Attempt.retry(attempt("none"), { schedule: Schedule.recurs(2) }).pipe(
        Effect.provide(watchedIndependent),
        using(provider.model),
        Effect.flip
      )
      assert.instanceOf(error, Attempt.AttemptsExhausted)
      assert.strictEqual(error.attempts, 3)
      assert.deepStrictEqual(error.lastError, new Refused({ answer: "a #4" }))
      assert.include(error.message, "3")
      assert.deepStrictEqual(error.errors, ["a #0", "a #2", "a #4"].map((answer) => new Refused({ answer })))
    }))

  it.effect("takes the arguments of Effect.retry, data-first and data-last", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const none = attempt("none")
      const attemptsOf = <A, E, R>(retried: Effect.Effect<A, E, R>) =>
        Effect.flip(retried).pipe(
          Effect.map((error) => error instanceof Attempt.AttemptsExhausted ? error.attempts : error),
          Effect.provide(watchedIndependent),
          using(provider.model)
        )
      assert.strictEqual(yield* attemptsOf(Attempt.retry(none, { times: 2 })), 3)
      assert.strictEqual(yield* attemptsOf(none.pipe(Attempt.retry({ times: 2 }))), 3)
      assert.strictEqual(yield* attemptsOf(Attempt.retry(none, Schedule.recurs(2))), 3)
      assert.strictEqual(yield* attemptsOf(none.pipe(Attempt.retry(Schedule.recurs(2)))), 3)
      assert.strictEqual(yield* attemptsOf(Attempt.retry(none, ($) => $(Schedule.recurs(2)))), 3)
      assert.strictEqual(yield* attemptsOf(Attempt.retry(none, { schedule: Schedule.recurs(9), times: 2 })), 3)
      assert.strictEqual(yield* attemptsOf(Attempt.retry(none, { schedule: Schedule.recurs(1), times: 2 })), 2)
      const failing = Schedule.while(Schedule.forever, ({ attempt }) =>
        attempt < 3 ? Effect.succeed(true) : Effect.fail("schedule" as const))
      assert.strictEqual(yield* attemptsOf(Attempt.retry(none, failing)), "schedule")
      assert.strictEqual(yield* attemptsOf(Attempt.retry(none, { schedule: failing })), "schedule")
    }))

  it.effect.each(["while", "until"] as const)(
    "runs `%s` once for each error, also as an effect",
    (name) =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        for (const wrap of [(answer: boolean) => answer, (answer: boolean) => Effect.as(Effect.yieldNow, answer)]) {
          const first = provider.given.length
          const asked: Array<string> = []
          const error = yield* Attempt.retry(attempt("none"), {
            times: 9,
            [name]: (error: Refused | SampleError.SampleError) => {
              if (error._tag !== "Refused") return wrap(false)
              asked.push(error.answer)
              return wrap((asked.length < 3) === (name === "while"))
            }
          }).pipe(Effect.provide(watchedIndependent), using(provider.model), Effect.flip)
          const answers = [0, 2, 4].map((i) => `a #${first + i}`)
          assert.deepStrictEqual(asked, answers)
          assert.deepStrictEqual(error, new Refused({ answer: answers[2]! }))
        }
        // A failure of the condition ends the retries.
        const end = yield* Attempt.retry(attempt("none"), { times: 9, [name]: () => Effect.fail("cannot tell") }).pipe(
          Effect.provide(watchedIndependent),
          using(provider.model),
          Effect.flip
        )
        assert.strictEqual<unknown>(end, "cannot tell")
      })
  )

  it.effect("makes one attempt if that succeeds", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const result = yield* Attempt.retry(attempt("a #0"), { schedule: Schedule.forever }).pipe(
        Effect.provide(watchedIndependent),
        using(provider.model)
      )
      assert.deepStrictEqual(result, { value: "a #0", attempts: 1, lastError: undefined })
    }))

  const reasons = SampleError
  const fields = { description: "d" }

  it.effect.each<readonly [SampleError.SampleError | Audit.AuditFailure, boolean]>([
    [new Audit.AuditFailure({ faults: [] }), false],
    [new SampleError.InvalidInput({ module: "mock", description: "n is 0" }), false],
    [errors.miss("s"), false],
    [errors.provider(new reasons.BadKey(fields)), false],
    [errors.provider(new reasons.BadRequest(fields)), false],
    [errors.provider(new reasons.ContentPolicy(fields)), false],
    [errors.provider(new reasons.ContextTooLong(fields)), false],
    [errors.provider(new reasons.RateLimited(fields)), true],
    [errors.provider(new reasons.ServerFault(fields)), true],
    [errors.provider(new reasons.Transport(fields)), true],
    [errors.provider(new reasons.Timeout(fields)), true],
    [errors.provider(new reasons.UnusableResponse(fields)), false],
    [errors.provider(new reasons.QuotaExhausted(fields)), false],
    [errors.provider(new reasons.UntrustedCertificate(fields)), false],
    [errors.store("Damaged"), false],
    [errors.store("InvalidName"), false],
    [errors.store("Unavailable"), true]
  ])("retries only errors that another attempt can fix: %s", ([error, isRetried]) =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      let attempts = 0
      const failing = Effect.suspend(() => {
        attempts++
        return Effect.fail(error)
      })
      const failed = yield* Attempt.retry(failing, { schedule: Schedule.recurs(3) }).pipe(
        Effect.provide(watchedIndependent),
        using(provider.model),
        Effect.flip
      )
      assert.strictEqual(attempts, isRetried ? 4 : 1)
      assert.strictEqual(failed._tag, isRetried ? "AttemptsExhausted" : error._tag)
      if (!isRetried) assert.strictEqual(failed, error)
    }))

  it.effect("never retries an error that says it is not retryable, nor lets it count in a choice", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const attemptsOf = Effect.fnUntraced(function*(error: object | string | null) {
        let attempts = 0
        const failing = Effect.suspend(() => {
          attempts++
          return Effect.fail(error)
        })
        for (
          const one of [
            Effect.asVoid(Attempt.retry(failing, { times: 2 })),
            Effect.asVoid(Attempt.best(failing, { n: 3, score: () => 0 })),
            Effect.asVoid(Attempt.race(failing, { n: 3 }))
          ]
        ) {
          const failed = yield* Effect.flip(one).pipe(Effect.provide(watchedIndependent), using(provider.model))
          assert.strictEqual(failed instanceof Attempt.AttemptsExhausted, Attempt.isRetryable(error))
        }
        return attempts
      })
      const plain = { _tag: "Plain" }
      assert.strictEqual(yield* attemptsOf({ ...plain, isRetryable: false }), 3)
      // As the errors of Effect's language models say it.
      class OfReason extends Data.TaggedError("OfReason")<{ readonly reason: { readonly isRetryable: boolean } }> {
        get isRetryable() {
          return this.reason.isRetryable
        }
      }
      assert.strictEqual(yield* attemptsOf(new OfReason({ reason: { isRetryable: false } })), 3)
      for (
        const error of [
          new OfReason({ reason: { isRetryable: true } }),
          { ...plain, isRetryable: "no" },
          plain,
          "text",
          null
        ]
      ) {
        assert.strictEqual(yield* attemptsOf(error), 9)
      }
    }))

  it.effect("does not retry a ReplicationCacheMiss", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeProvider()
      const miss = yield* Attempt.retry(attempt("none"), { schedule: Schedule.forever }).pipe(
        Effect.provide(watchedIndependent),
        Effect.provide(Persistent.layer({ directory, replication: true })),
        using(provider.model),
        Effect.flip
      )
      assert.strictEqual(miss._tag, "ReplicationCacheMiss")
    }))

  it.effect("respects the delays, the input and the condition of a schedule", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const inputs: Array<string> = []
      const schedule = Schedule.max([Schedule.exponential("1 second"), Schedule.recurs(9)]).pipe(
        Schedule.setInputType<Refused | SampleError.SampleError>(),
        Schedule.tap(({ input }) => Effect.sync(() => inputs.push(input._tag)))
      )
      const fiber = yield* Attempt.retry(attempt("none"), {
        schedule,
        while: (error) => error._tag === "Refused" && error.answer !== "a #4"
      }).pipe(Effect.provide(watchedIndependent), using(provider.model), Effect.flip, Effect.forkChild)
      yield* TestClock.adjust(0)
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(provider.requests.length, 2)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(provider.requests.length, 4)
      yield* TestClock.adjust("2 seconds")
      // The condition rejected the third error, so it is the result.
      assert.deepStrictEqual(yield* Fiber.join(fiber), new Refused({ answer: "a #4" }))
      assert.deepStrictEqual(inputs, ["Refused", "Refused"])
    }))
})

describe("Attempt.race", () => {
  it.effect("takes the first success, interrupts the other attempts and keeps their samples", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeProvider()
      const gate = yield* makeGate
      const path: Array<string> = []
      const quick = Effect.gen(function*() {
        const [index] = yield* Fork.path
        if (index !== "1") yield* gate.wait
        const text = yield* LlmModel.sampleOne("a")
        path.push(index!)
        return text
      })
      const program = Effect.all([Attempt.race(quick, { n: 3 }), handedOut]).pipe(Effect.provide(watchedIndependent))
      const live = program.pipe(Effect.provide(Persistent.layer({ directory })), using(provider.model))
      const result = yield* live
      assert.deepStrictEqual(result, [{ value: "a #0", index: 1 }, { "1/a": [1, 1] }])
      assert.deepStrictEqual(path, ["1"])
      assert.deepStrictEqual(yield* live, result)
      assert.strictEqual(provider.requests.length, 1)
    }))

  it.effect("continues after failures, and fails after all of them or a non-retryable error", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const race = <E>(errorOf: (index: string) => E | undefined) =>
        Attempt.race(
          Effect.gen(function*() {
            const [index] = yield* Fork.path
            const error = errorOf(index!)
            return error === undefined ? index : yield* Effect.fail(error)
          }),
          { n: 3 }
        ).pipe(Effect.provide(watchedIndependent), using(provider.model))
      assert.deepStrictEqual(yield* race((index) => index === "2" ? undefined : "no"), { value: "2", index: 2 })
      const failed = yield* Effect.flip(race((index) => `no ${index}`))
      assert.deepStrictEqual(failed, new Attempt.AttemptsExhausted({ errors: ["no 0", "no 1", "no 2"] }))
      assert.strictEqual((failed as Attempt.AttemptsExhausted<string>).lastError, "no 2")
      const key = errors.provider(new SampleError.BadKey({ description: "d" }))
      const straight = yield* Effect.flip(race((index) => index === "0" ? key : "no"))
      assert.strictEqual(straight, key)
    }))
})

it.effect("Attempt.race records an in-flight request of a loser when it returns, and does not send it again", () =>
  Effect.gen(function*() {
    const provider = yield* makeProvider()
    const gate = yield* makeGate
    provider.gate = Effect.flatMap(Fork.path, ([index]) => index === "1" ? Effect.void : gate.wait)
    const underWay = Effect.gen(function*() {
      while (provider.requests.length === 0) yield* Effect.yieldNow
    })
    const racing = Effect.flatMap(
      Fork.path,
      ([index]) => Effect.andThen(index === "1" ? underWay : Effect.void, LlmModel.sampleOne("a"))
    )
    yield* Effect.gen(function*() {
      const { index, value } = yield* Effect.provide(Attempt.race(racing, { n: 2 }), watchedIndependent)
      assert.deepStrictEqual([value, index], ["a #0", 1])
      yield* gate.open
      while (provider.underWay > 0) yield* Effect.yieldNow
      assert.strictEqual(yield* Fork.fork(LlmModel.sampleOne("a"), "0"), "a #1")
      assert.deepStrictEqual(provider.requests, [1, 1])
    }).pipe(Effect.provide(Persistent.layer({ directory: yield* makeDirectory })), using(provider.model))
  }))

it.effect("Attempt.race and Attempt.best with different names draw from different sequences", () =>
  Effect.gen(function*() {
    const provider = yield* makeProvider()
    const paths = Effect.all([
      Attempt.race(Fork.path, { n: 1, name: "x" }),
      Fork.path.pipe(Attempt.race({ n: 1 })),
      Attempt.best(Fork.path, { n: 1, name: "y", score: () => 0 }),
      Fork.path.pipe(Attempt.best({ n: 1, score: () => 0 }))
    ]).pipe(Effect.provide(watchedIndependent), using(provider.model))
    assert.deepStrictEqual((yield* paths).map(({ value }) => value), [["x", "0"], ["0"], ["y", "0"], ["0"]])
  }))

describe("Attempt.best", () => {
  const draw = Effect.map(LlmModel.sampleOne("a"), (text) => Number(text.slice(3)))

  it.effect("takes the highest score and, in a tie, the first attempt", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const best = Attempt.best(draw, { n: 6, score: (value) => Math.min(value, 3) }).pipe(
        (self) => Effect.all([self, handedOut]),
        Effect.provide(watchedIndependent),
        using(provider.model)
      )
      const one = [1, 1]
      assert.deepStrictEqual(yield* best, [
        { value: 3, index: 3 },
        { "0/a": one, "1/a": one, "2/a": one, "3/a": one, "4/a": one, "5/a": one }
      ])
    }))

  it.effect("replays under any scheduling of its attempts", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeProvider()
      const seed = Math.floor(Math.random() * 1e6)
      const jitter = Effect.flatMap(
        Random.nextIntBetween(0, 20),
        (times) => Effect.replicateEffect(Effect.yieldNow, times, { discard: true })
      )
      const slowly = Effect.replicateEffect(Effect.andThen(jitter, LlmModel.sampleOne("a")), 3)
      const drawn = new Map<string, Array<string>>()
      const run = (seed: string) =>
        slowly.pipe(
          Effect.tap((texts) => Effect.map(Fork.path, ([index]) => drawn.set(index!, texts))),
          Attempt.best({ n: 6, score: ([text]) => Number(text!.slice(3)) % 5, concurrency: "unbounded" }),
          Effect.map((chosen) => ({ chosen, drawn: Array.from({ length: 6 }, (_, i) => drawn.get(String(i))) })),
          Effect.provide(watchedIndependent),
          Effect.provide(Persistent.layer({ directory })),
          using(provider.model),
          Random.withSeed(seed)
        )
      const recorded = yield* run(`${seed}`)
      for (let i = 0; i < 20; i++) assert.deepStrictEqual(yield* run(`${seed} ${i}`), recorded, `seed ${seed}`)
      assert.strictEqual(provider.requests.length, 6)
    }))

  it.effect("runs `score` once for each attempt, and ranks NaN below every number", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const bestOf = (...scores: Array<number>) => {
        let asked = 0
        return Attempt.best(Fork.path, {
          n: scores.length,
          score: ([index]) => {
            asked++
            return scores[Number(index)]!
          }
        }).pipe(
          Effect.map(({ index }) => [index, asked]),
          Effect.provide(watchedIndependent),
          using(provider.model)
        )
      }
      assert.deepStrictEqual(yield* bestOf(1, 3, 2, 3), [1, 4])
      assert.deepStrictEqual(yield* bestOf(NaN, 1, NaN, 2), [3, 4])
      assert.deepStrictEqual(yield* bestOf(NaN, -Infinity, NaN), [1, 3])
      assert.deepStrictEqual(yield* bestOf(-Infinity, NaN), [0, 2])
      assert.deepStrictEqual(yield* bestOf(NaN, NaN), [0, 2])
    }))

  it.effect("lets `score` draw from the models of its attempt", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeProvider()
      const judged: Array<string> = []
      const program = Attempt.best(LlmModel.sampleOne("a"), {
        n: 4,
        concurrency: "unbounded",
        score: (text) =>
          Effect.gen(function*() {
            // the attempt's own model: the same answer to the same prompt
            assert.strictEqual(yield* LlmModel.sampleOne("a"), text)
            const verdict = yield* LlmModel.sampleOne(`good? ${text}`)
            judged.push(`${yield* Fork.path} ${text}`)
            if (text === "a #0") return yield* new Refused({ answer: verdict })
            return -Number(text.slice(3))
          })
      }).pipe(
        Effect.provide(watchedIndependent),
        Effect.provide(Persistent.layer({ directory })),
        using(provider.model)
      )
      const chosen = yield* program
      assert.strictEqual(provider.requests.length, 8)
      const first = judged.splice(0).sort()
      assert.isTrue(first.includes(`${chosen.index} ${chosen.value}`))
      assert.notStrictEqual(chosen.value, "a #0")
      assert.deepStrictEqual(yield* program, chosen)
      assert.deepStrictEqual(judged.sort(), first)
      assert.strictEqual(provider.requests.length, 8)
    }))

  it.effect("ignores failed attempts, and fails if all attempts fail", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const below = (limit: number) =>
        Attempt.best(
          Effect.filterOrFail(draw, (value) => value < limit, (value) => new Refused({ answer: `${value}` })),
          {
            n: 3,
            score: (value) => value
          }
        ).pipe(Effect.provide(watchedIndependent), using(provider.model))
      assert.deepStrictEqual(yield* below(2), { value: 1, index: 1 })
      const error = yield* Effect.flip(below(0))
      assert.instanceOf(error, Attempt.AttemptsExhausted)
      assert.deepStrictEqual(error.lastError, new Refused({ answer: "5" }))
    }))

  it.effect("fails with InvalidInput, like Attempt.race, if n is not a whole number of at least 1", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      for (const n of [0, -1, 1.5, NaN]) {
        const both = Effect.all([
          Effect.flip(Attempt.best(draw, { n, score: (value) => value })),
          Effect.flip(Attempt.race(draw, { n }))
        ]).pipe(Effect.provide(watchedIndependent), using(provider.model))
        for (const error of yield* both) assert.strictEqual(error._tag, "InvalidInput")
      }
      assert.deepStrictEqual(provider.requests, [])
    }))
})

describe("Forks inside a retried attempt", () => {
  it.effect("replay under any scheduling", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const store = yield* MemoryStore.make
      const program = (pauses: number) =>
        Attempt.retry(
          Effect.all([
            Fork.fork(
              Effect.gen(function*() {
                const verdict = yield* LlmModel.sampleOne("ok?")
                yield* Effect.replicateEffect(Effect.yieldNow, pauses)
                return verdict === "ok? #0" ? yield* Effect.fail("refused" as const) : verdict
              }),
              "judge"
            ),
            Fork.fork(Effect.all([LlmModel.sampleOne("plan"), LlmModel.sampleOne("write")]), "writer")
          ], { concurrency: 2 }),
          { times: 3 }
        ).pipe(
          Effect.provide(Independent.layer),
          Effect.provide(Persistent.layer()),
          Effect.provideService(SampleStore.SampleStore, store),
          using(provider.model)
        )
      const { value } = yield* program(0)
      const requests = provider.requests.length
      for (const pauses of [0, 1, 3, 10, 50]) assert.deepStrictEqual((yield* program(pauses)).value, value)
      // A replay sends at most the draws that an early failure had skipped.
      assert.isAtMost(provider.requests.length - requests, 2)
      for (const pauses of [50, 0]) yield* program(pauses)
      assert.isAtMost(provider.requests.length - requests, 2)
    }))

  it.effect("have another path in each attempt after the first", () =>
    Effect.gen(function*() {
      const paths: Array<string> = []
      const note = Effect.tap(Fork.path, (path) => Effect.sync(() => paths.push(path.join(" > "))))
      yield* Effect.fail("again").pipe(
        Effect.tapError(() => note),
        Effect.tapError(() => Fork.fork(note, "a")),
        Attempt.retry({ times: 1 }),
        Attempt.retry({ times: 1 }),
        Fork.fork("f"),
        Effect.exit,
        Effect.provide(watchedIndependent),
        using((yield* makeProvider()).model)
      )
      assert.deepStrictEqual(paths, [
        "f",
        "f > a",
        "f",
        "f > attempt 2 > a",
        "f",
        "f > attempt 2 > a",
        "f",
        "f > attempt 2 > attempt 2 > a"
      ])
    }))
})

it.effect("Attempt.retry does not retry a ReplicationCacheMiss that follows another error", () =>
  Effect.gen(function*() {
    let attempts = 0
    const miss = LlmModel.sampleOne("cleanup")
    const program = Attempt.retry(
      Effect.suspend(() => {
        attempts++
        return Effect.acquireUseRelease(Effect.void, () => Effect.fail("refused" as const), () => miss)
      }),
      { times: 3 }
    ).pipe(
      Effect.provide(watchedIndependent),
      Effect.provide(Persistent.layerReplication({ model: "m" })),
      Effect.provide(MemoryStore.layer)
    )
    const error = yield* Effect.flip(program)
    assert.strictEqual(typeof error === "string" ? error : error._tag, "ReplicationCacheMiss")
    assert.strictEqual(attempts, 1)
  }))
