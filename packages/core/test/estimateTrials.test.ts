import { assert, describe, it } from "@effect/vitest"
import {
  Attempt,
  Estimate,
  Fork,
  Independent,
  IndependentModel,
  LlmModel,
  Output,
  Persistent,
  Repeatable,
  SampleError
} from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Data, Effect, Schema } from "effect"
import { makeDirectory } from "./support/directory.ts"
import { makeProvider } from "./support/provider.ts"
import { handedOut, watchedIndependent } from "./support/stack.ts"

class NoAnswer extends Data.TaggedError("NoAnswer")<{ readonly sample: string }> {}

/** Takes two steps, whose prompts depend on the samples. It gives way to others a different number of times in each run. */
const makeAgent = () => {
  let runs = 0
  return Effect.suspend(() => {
    const wait = Effect.replicateEffect(Effect.yieldNow, (runs++ * 7) % 5, { discard: true })
    return Effect.gen(function*() {
      yield* wait
      const plan = yield* LlmModel.sampleOne("plan")
      yield* wait
      return `${plan} > ${yield* LlmModel.sampleOne(`do ${plan}`)}`
    })
  })
}

describe("Trials of an agent", () => {
  it.effect("draw in forks named by their index, and so do their checks", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const [estimate, draws] = yield* Estimate.passAtK({
        sample: LlmModel.sampleOne("p"),
        n: 4,
        k: [1, 2],
        check: (sample, index) => Effect.map(LlmModel.sampleOne("judge"), (judged) => judged !== sample && index < 2),
        concurrency: "unbounded"
      }).pipe(
        Effect.zip(handedOut),
        Effect.provide(watchedIndependent),
        Effect.provide(provider.layer)
      )
      assert.deepStrictEqual(estimate, [1, 2].map((k) => Estimate.passAtKOf({ n: 4, correct: 2, k })))
      assert.deepStrictEqual(
        draws,
        Object.fromEntries([0, 1, 2, 3].flatMap((i) => [[`${i}/p`, [1, 1]], [`${i}/judge`, [1, 1]]]))
      )
    }))

  it.effect("run `concurrency` at a time, in a fork of the given name", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      for (const [concurrency, most] of [[undefined, 1], [2, 2], ["unbounded", 5]] as const) {
        let [now, highest] = [0, 0]
        const sample = Effect.gen(function*() {
          highest = Math.max(highest, ++now)
          yield* Effect.replicateEffect(Effect.yieldNow, 3, { discard: true })
          now--
          return (yield* Fork.path).join("/")
        })
        const { counts } = yield* Estimate.majority({ sample, n: 5, name: "vote", concurrency }).pipe(
          Effect.provide(watchedIndependent),
          Effect.provide(provider.layer)
        )
        assert.strictEqual(highest, most)
        assert.deepStrictEqual([...counts.keys()], [0, 1, 2, 3, 4].map((index) => `vote/${index}`))
      }
    }))

  it.effect("replay without requests, however their fibers are scheduled", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeProvider()
      const agent = makeAgent()
      const seen: Array<string> = []
      const estimates = (concurrency: number) =>
        Effect.all([
          Estimate.passAtK({
            sample: agent,
            n: 6,
            k: 2,
            check: (value, index) => {
              seen[index] = value
              return value.length % 2 === 0
            },
            concurrency,
            name: "pass"
          }),
          Estimate.majority({ sample: agent, n: 6, concurrency, name: "vote" })
        ]).pipe(
          Effect.provide(watchedIndependent),
          Effect.provide(Persistent.layer({ directory })),
          Effect.provide(provider.layer)
        )
      const first = yield* estimates(6)
      const values = [...seen]
      assert.strictEqual(new Set(values).size, 6)
      const requests = provider.requests.length
      for (const concurrency of [1, 2, 6]) {
        assert.deepStrictEqual(yield* estimates(concurrency), first)
        assert.deepStrictEqual(seen, values)
      }
      assert.strictEqual(provider.requests.length, requests)
    }))

  it.effect("draw from the IndependentModel, also with a Repeatable in between", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const vote = Estimate.majority({ sample: LlmModel.sampleOne("p"), n: 3 })
      const votes = yield* Effect.all([vote, vote]).pipe(
        Effect.provide(Repeatable.layer),
        Effect.provide(watchedIndependent),
        Effect.provide(provider.layer)
      )
      assert.strictEqual(new Set(votes.flatMap(({ counts }) => [...counts.keys()])).size, 6)
    }))

  it.effect("keep the layers that the agent brings along", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const twice = Effect.all([LlmModel.sampleOne("p"), LlmModel.sampleOne("p")])
      const repeating = Effect.provide(twice, Repeatable.layer)
      const shares = yield* Effect.all([
        Estimate.passAtK({ sample: twice, n: 5, k: 1, check: ([one, other]) => one === other, name: "a" }),
        Estimate.passAtK({ sample: repeating, n: 5, k: 1, check: ([one, other]) => one === other, name: "b" })
      ]).pipe(Effect.provide(watchedIndependent), Effect.provide(provider.layer))
      assert.deepStrictEqual(shares, [0, 1])
    }))

  it.effect("are different where the agent carries an Independent of its own", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const agent = Effect.provide(LlmModel.sampleOne("p"), Independent.layer)
      const { counts } = yield* Estimate.majority({ sample: agent, n: 8 }).pipe(
        Effect.provide(Independent.layer),
        Effect.provide(Repeatable.layer),
        Effect.provide(provider.layer)
      )
      assert.strictEqual(counts.size, 8)
    }))

  it.effect("can be attempts", () =>
    Effect.gen(function*() {
      const agent = Attempt.retry(
        Effect.flatMap(LlmModel.sampleOne("p"), (sample) =>
          sample === "bad" ? new NoAnswer({ sample }) : Effect.succeed(sample)),
        { times: 1 }
      )
      const passAt1 = yield* Estimate.passAtK({
        sample: agent,
        n: 3,
        k: 1,
        check: ({ attempts, value }) =>
          attempts === 2 && value === "good"
      }).pipe(
        Effect.provide(watchedIndependent),
        Effect.provide(TestModel.layer({ script: ["bad", "good", "good", "bad", "good"] }))
      )
      assert.closeTo(passAt1, 2 / 3, 1e-12)
    }))

  it.effect("end the estimate with the first error of a trial", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const agent = Effect.flatMap(LlmModel.sampleOne("p"), (sample) => Effect.fail(new NoAnswer({ sample })))
      const failed = <A, E>(effect: Effect.Effect<A, E, IndependentModel.IndependentModel>) =>
        effect.pipe(Effect.flip, Effect.provide(watchedIndependent), Effect.provide(provider.layer))
      assert.instanceOf(yield* failed(Estimate.passAtK({ sample: agent, n: 3, k: 1, check: () => true })), NoAnswer)
      assert.instanceOf(yield* failed(Estimate.majority({ sample: agent, n: 3 })), NoAnswer)
      assert.deepStrictEqual(provider.requests, [1, 1])
      const caught = Effect.catchTag(agent, "NoAnswer", () => Effect.succeed(undefined))
      const vote = yield* Estimate.majority({ sample: caught, n: 3 }).pipe(
        Effect.provide(watchedIndependent),
        Effect.provide(provider.layer)
      )
      assert.deepStrictEqual(vote, { answer: undefined, votes: 0, counts: new Map<never, number>() })
    }))

  it.effect("fail with InvalidInput before any draw for a bad count, and for a prompt beside them", () =>
    Effect.gen(function*() {
      const sample = LlmModel.sampleOne("p")
      const check = () => true
      const both = { prompt: "p", sample, n: 2, k: 1, check } as unknown as Estimate.MajorityOptions & {
        k: number
        check: () => true
      }
      const refuses = <A, E>(effect: Effect.Effect<A, E, IndependentModel.IndependentModel>, text: string) =>
        effect.pipe(
          Effect.provide(watchedIndependent),
          Effect.provide(TestModel.layer({ script: [] })),
          Effect.flip,
          Effect.map((error) => {
            assert.instanceOf(error, SampleError.InvalidInput)
            assert.include(error.message, text)
          })
        )
      yield* refuses(Estimate.passAtK({ sample, n: 2, k: 3, check }), "k is 3")
      yield* refuses(Estimate.passAtK({ sample, n: 2.5, k: 1, check }), "n is 2.5")
      yield* refuses(Estimate.majority({ sample, n: 0 }), "n is 0")
      yield* refuses(Estimate.passAtK(both), "leave one out")
      yield* refuses(Estimate.majority(both), "leave one out")
      yield* refuses(Estimate.majority({ n: 2 } as Estimate.MajorityOptions), "prompt")
    }))
})

describe("The votes of Estimate.majority", () => {
  const vote = <A, E>(
    script: ReadonlyArray<string>,
    majority: Effect.Effect<A, E, IndependentModel.IndependentModel>
  ) => majority.pipe(Effect.provide(watchedIndependent), Effect.provide(TestModel.layer({ script })))

  it.effect("can be effects, such as runs of the programs in the samples", () =>
    Effect.gen(function*() {
      const script = ["1 + 1", "2", "throw", "0 + 2", "1 + 2"]
      let [now, highest] = [0, 0]
      const run = (program: string, index: number) =>
        Effect.gen(function*() {
          highest = Math.max(highest, ++now)
          yield* Effect.yieldNow
          now--
          assert.strictEqual(script[index], program)
          return program === "throw" ? undefined : program.split(" + ").reduce((sum, one) => sum + Number(one), 0)
        })
      const by = yield* vote(script, Estimate.majority({ prompt: "p", n: 5, by: run, concurrency: 2 }))
      assert.deepStrictEqual(by, { answer: 2, votes: 3, counts: new Map([[2, 3], [3, 1]]) })
      assert.strictEqual(highest, 2)
      const failing = Estimate.majority({ prompt: "p", n: 2, by: (sample) => new NoAnswer({ sample }) })
      assert.deepStrictEqual(yield* Effect.flip(vote(["a", "b"], failing)), new NoAnswer({ sample: "a" }))
    }))

  it.effect("are values that the spec reads, by content, and it reports samples that it cannot read", () =>
    Effect.gen(function*() {
      const Person = Schema.Struct({ name: Schema.String, age: Schema.Int })
      const script = [
        "{\"name\":\"A\",\"age\":1}",
        "none",
        "```json\n{\"age\":2,\"name\":\"B\"}\n```",
        "{\"age\":2.5,\"name\":\"B\"}",
        "{\"name\":\"B\",\"age\":2}"
      ]
      const options = { prompt: "p", n: 5, spec: Output.json(Person) }
      const { answer, counts, rejected, votes } = yield* vote(script, Estimate.majority(options))
      assert.deepStrictEqual(answer, { name: "B", age: 2 })
      assert.deepStrictEqual([votes, counts.size], [2, 2])
      assert.deepStrictEqual(rejected.map(({ sample }) => sample), [script[1], script[3]])
      assert.strictEqual(rejected[0]!.error._tag, "OutputError")
      const named = yield* vote(
        script,
        Estimate.majority({ ...options, by: ({ age, name }) => Effect.succeed(age > 1 ? name : undefined) })
      )
      assert.deepStrictEqual(named.counts, new Map([["B", 2]]))
    }))

  it.effect("need not be texts", () =>
    Effect.sync(() => {
      assert.deepStrictEqual(Estimate.majorityOf([[1], [2], [2]]).answer, [2])
      assert.deepStrictEqual(Estimate.majorityOf([null, undefined, null]), {
        answer: null,
        votes: 2,
        counts: new Map([[null, 2]])
      })
      assert.strictEqual(Estimate.majorityOf(["a", "b", "bb"], (text) => text.length).answer, 1)
    }))
})

describe("Output.query of an effect that draws", () => {
  const answer = Output.tag("answer")
  const agent = Effect.gen(function*() {
    const plan = yield* LlmModel.sampleOne("plan")
    const again = yield* LlmModel.sampleOne("plan")
    return plan === again ? yield* LlmModel.sampleOne(`do ${plan}`) : "the attempt does not repeat its samples"
  })
  const script = ({ n, prompt }: TestModel.Request): Array<string> =>
    prompt === "plan"
      ? Array.from({ length: n }, () => String(plans++))
      : [prompt === "do 2" ? "<answer>2</answer>" : "?"]
  let plans = 0

  it.effect("runs it until a text can be read, each time with new samples, and replays", () =>
    Effect.gen(function*() {
      plans = 0
      const directory = yield* makeDirectory
      const testModel = yield* TestModel.make({ script })
      const query = Output.query(agent, answer, { validate: (value) => value === "2" }).pipe(
        Effect.provide(watchedIndependent),
        Effect.provide(Persistent.layer({ directory })),
        Effect.provideService(LlmModel.LlmModel, testModel.model)
      )
      assert.deepStrictEqual(yield* query, "2")
      const given = testModel.samples.length
      assert.deepStrictEqual(yield* query, "2")
      assert.deepStrictEqual([given, testModel.samples.length], [6, 6])
    }))

  it.effect("ends with an error of the effect, and draws in its fork", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const failing = Effect.flatMap(LlmModel.sampleOne("p"), (sample) => Effect.fail(new NoAnswer({ sample })))
      const [error, draws] = yield* Effect.flip(Output.query(failing, answer)).pipe(
        Fork.fork("f"),
        Effect.zip(handedOut),
        Effect.provide(watchedIndependent),
        Effect.provide(provider.layer)
      )
      assert.deepStrictEqual(error, new NoAnswer({ sample: "p #0" }))
      assert.deepStrictEqual(draws, { "f/p": [1, 1] })
    }))
})
