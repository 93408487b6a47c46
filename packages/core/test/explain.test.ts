import { assert, describe, it } from "@effect/vitest"
import {
  DirectoryStore,
  Events,
  Explain,
  Fork,
  Identity,
  Key,
  LlmModel,
  MemoryStore,
  Persistent,
  type SampleStore,
  Trace
} from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Effect, Scope } from "effect"
import { makeDirectory } from "./support/directory.ts"
import { using } from "./support/provider.ts"

const identityOf = (options: Partial<Identity.Options> = {}) =>
  Effect.orDie(Identity.make({ model: "gpt-4o", temperature: 1, ...options }))

const put = (
  store: SampleStore.Store,
  identity: Identity.Identity,
  prompt: string,
  path: ReadonlyArray<string> = [],
  n = 3
) =>
  Effect.forEach(
    Array.from({ length: n }, (_, position) => position),
    (position) =>
      store.put(new Key.Key(identity, prompt, path), [{
        position,
        drawn: { text: `${position}`, metadata: {}, origins: [] }
      }], "drop")
  )

const draw = (identity: Identity.Identity, prompt: string, rest: Partial<Explain.Draw> = {}): Explain.Draw => ({
  identity,
  prompt,
  path: [],
  position: 0,
  ...rest
})

const topics = ["rivers", "bridges", "castles", "violins", "glaciers", "engines", "orchards"]

/** A prompt of a kilobyte, with the number of a problem in its middle. */
const problem = (i: number, [start, end] = ["Today is 2026-11-24.", "Answer in one line."]) =>
  `${start} You are a careful assistant who knows ${topics[i % 7]} and ${topics[(i * 3) % 7]}. ${
    "Think about the problem step by step, and look at every detail of it. ".repeat(6)
  } Problem ${i}: ${topics[(i * 5) % 7]} number ${i * 7919} and ${i * 104729 % 99991}. ${
    "Do not repeat the problem, and do not explain what is obvious to everybody. ".repeat(6)
  } ${end}`

const marks = (differences: ReadonlyArray<Explain.Difference>) =>
  differences.map(({ edits, message, role }) => [
    message,
    role,
    edits.filter(({ kind }) => kind !== "same").map(({ kind, text }) => `${kind} ${text}`)
  ])

describe("A miss is explained as", () => {
  it.effect("exhausted: the prompt has samples, and none at the position", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const identity = yield* identityOf()
      yield* put(store, identity, "p")
      // The other verdicts hold too.
      yield* put(store, identity, "p", ["f"])
      yield* put(store, yield* identityOf({ temperature: 0 }), "p")
      const explanation = yield* Explain.miss(store, draw(identity, "p", { position: 3 }))
      assert.deepInclude(explanation, { verdict: "exhausted", present: [0, 1, 2], position: 3 })
      assert.include(Explain.format(explanation), "has 3 samples, up to position 2")
    }))

  it.effect("exhausted: the prompt has later samples, and none at the position", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const identity = yield* identityOf()
      yield* put(store, identity, "p")
      yield* store.remove(new Key.Key(identity, "p", []), [1])
      const explanation = yield* Explain.miss(store, draw(identity, "p", { position: 1 }))
      assert.deepInclude(explanation, { verdict: "exhausted", present: [0, 2] })
      assert.include(Explain.format(explanation), "has 2 samples up to position 2, but none at 1")
      assert.include(Explain.format(explanation), "its sample was removed: run once without replication to draw it")
    }))

  it.effect("otherFork: other forks have the prompt", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const identity = yield* identityOf()
      yield* put(store, identity, "p")
      yield* put(store, identity, "p", ["a", "b"], 1)
      yield* put(store, yield* identityOf({ temperature: 0 }), "p", ["c"])
      const explanation = yield* Explain.miss(store, draw(identity, "p", { path: ["c"] }))
      assert.deepInclude(explanation, {
        verdict: "otherFork",
        forks: [{ path: [], samples: 3 }, { path: ["a", "b"], samples: 1 }]
      })
      assert.include(Explain.format(explanation), "fork a / b: 1 sample")
    }))

  it.effect("otherIdentity: other models or parameters have the prompt, and which fields differ", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const asked = yield* identityOf({ parameters: { top_p: 1, tools: [{ name: "search" }, { name: "add" }] } })
      yield* put(store, yield* identityOf({ model: "other", temperature: 0 }), "p")
      yield* put(store, yield* identityOf({ parameters: { top_p: 1, tools: [{ name: "search" }] } }), "p", ["f"], 2)
      yield* put(store, asked, "q")
      const explanation = yield* Explain.miss(store, { ...draw(asked, "p"), from: 7 })
      assert.strictEqual(explanation.verdict, "otherIdentity")
      if (explanation.verdict !== "otherIdentity") return
      assert.deepStrictEqual(explanation.identities.map(({ differences, samples }) => [samples, differences]), [
        [2, [{ field: "tools", stored: [{ name: "search" }], asked: [{ name: "search" }, { name: "add" }] }]],
        [3, [
          { field: "model", stored: "other", asked: "gpt-4o" },
          { field: "temperature", stored: 0, asked: 1 },
          { field: "tools", stored: undefined, asked: [{ name: "search" }, { name: "add" }] },
          { field: "top_p", stored: undefined, asked: 1 }
        ]]
      ])
      assert.include(Explain.format(explanation), "temperature 0, asked 1; tools not given, asked [{")
    }))

  it.effect("follows: an earlier draw of the run is the cause, before any similar prompt", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const identity = yield* identityOf()
      yield* put(store, identity, "a prompt that is nearly so")
      const explanation = yield* Explain.miss(store, { ...draw(identity, "a prompt that is almost so"), from: 12 })
      assert.deepInclude(explanation, { verdict: "follows", from: 12 })
      assert.include(Explain.format(explanation), "follows from request 12")
    }))

  it.effect(
    "near: the one of 2,000 prompts that has the same rare words, though both ends differ",
    () =>
      Effect.gen(function*() {
        const store = yield* MemoryStore.make
        const identity = yield* identityOf()
        for (let i = 0; i < 2000; i++) yield* put(store, identity, problem(i), [], 1)
        yield* put(store, identity, problem(1242), ["f"], 2)
        const asked = problem(1242, ["Today is 2026-11-25.", "Answer in two lines."])
        const explanation = yield* Explain.miss(store, draw(identity, asked))
        assert.strictEqual(explanation.verdict, "near")
        if (explanation.verdict !== "near") return
        assert.strictEqual(explanation.nearest.prompt, problem(1242))
        assert.strictEqual(explanation.nearest.hash, new Key.Key(identity, problem(1242), []).promptHash)
        assert.strictEqual(explanation.nearest.samples, 3)
        assert.isBelow(explanation.nearest.similarity, 1)
        assert.isAbove(explanation.nearest.similarity, 0.5)
        assert.strictEqual(explanation.compared, 2000)
        assert.deepStrictEqual(marks(explanation.differences), [[undefined, undefined, [
          "stored 24",
          "asked 25",
          "stored one",
          "asked two",
          "stored line",
          "asked lines"
        ]]])
        assert.include(Explain.format(explanation), "Nearest of 2,000: ")
        assert.include(Explain.format(explanation), "2026-11-[-24-]{+25+}")
        assert.include(Explain.format(explanation), "[-one-]{+two+} [-line-]{+lines+}")
      }),
    60_000
  )

  it.effect("near: a rare word counts more than several that all prompts have", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const identity = yield* identityOf()
      for (let i = 0; i < 50; i++) yield* put(store, identity, `Please write a short and simple text about topic ${i}`)
      yield* put(store, identity, "An essay on zygotes")
      const explanation = yield* Explain.miss(
        store,
        draw(identity, "Please write a short and simple text about zygotes")
      )
      assert.strictEqual(explanation.verdict === "near" ? explanation.nearest.prompt : "", "An essay on zygotes")
    }))

  it.effect("near: the one with the words in the same order, if all prompts have the same words", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const identity = yield* identityOf()
      const directions = ["left", "right", "up", "down", "back"]
      // Each problem has another order of the same words.
      const path = (i: number) =>
        Array.from({ length: 40 }, (_, step) => directions[Math.floor(1e4 * Math.abs(Math.sin(i * 40 + step))) % 5])
          .join(" ")
      const on = (day: number, i: number) => `Today is 2026-11-${day}.\nProblem ${i}: go ${path(i)}.`
      for (let i = 0; i < 60; i++) yield* put(store, identity, on(29, i))
      // The new date has a word that one other problem has, as its number.
      const explanation = yield* Explain.miss(store, draw(identity, on(30, 47)))
      assert.strictEqual(explanation.verdict === "near" ? explanation.nearest.prompt : "", on(29, 47))
      assert.match(Explain.format(explanation), /\n {2}Today is 2026-11-\[-29-\]\{\+30\+\}\.\n {2}Problem/)
    }))

  it.effect("near: the template, if nothing rare is shared", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const identity = yield* identityOf()
      for (let i = 0; i < 50; i++) yield* put(store, identity, `Please write a short and simple text about topic ${i}`)
      const explanation = yield* Explain.miss(
        store,
        draw(identity, "Please write a short and simple text about topic 777")
      )
      assert.strictEqual(explanation.verdict, "near")
      if (explanation.verdict !== "near") return
      assert.strictEqual(explanation.nearest.similarity, 9 / 11)
      assert.deepStrictEqual(marks(explanation.differences)[0]![2], ["stored 0", "asked 777"])
    }))

  it.effect("near: by message, if the prompts are chats", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const identity = yield* identityOf()
      const chat = (...messages: ReadonlyArray<readonly [string, unknown]>) =>
        JSON.stringify({ model: "m", messages: messages.map(([role, content]) => ({ role, content })) })
      const stored = chat(["system", "You help."], ["user", "What is the capital of France, my friend?"], [
        "user",
        "Now."
      ])
      yield* put(store, identity, stored)
      const explanation = yield* Explain.miss(
        store,
        draw(
          identity,
          chat(["system", "You help."], ["user", "What is the capital of Spain, my friend?"], ["user", "Now."], [
            "tool",
            [1]
          ])
        )
      )
      assert.strictEqual(explanation.verdict, "near")
      if (explanation.verdict !== "near") return
      assert.deepStrictEqual(marks(explanation.differences), [
        [1, "user", ["stored France", "asked Spain"]],
        [3, "tool", ["asked [\n 1\n]"]]
      ])
      assert.include(
        Explain.format(explanation),
        "message 1 (user): What is the capital of [-France-]{+Spain+}, my friend?"
      )
    }))

  it.effect("near: in scripts without spaces too", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const identity = yield* identityOf()
      yield* put(store, identity, "\u8BF7\u5199\u4E00\u9996\u5173\u4E8E\u6708\u4EAE\u7684\u8BD7")
      yield* put(store, identity, "\u4ECA\u5929\u5929\u6C14\u5982\u4F55")
      const explanation = yield* Explain.miss(
        store,
        draw(identity, "\u8BF7\u5199\u4E00\u9996\u5173\u4E8E\u592A\u9633\u7684\u8BD7")
      )
      assert.deepInclude(explanation.verdict === "near" ? explanation.nearest : {}, {
        prompt: "\u8BF7\u5199\u4E00\u9996\u5173\u4E8E\u6708\u4EAE\u7684\u8BD7"
      })
    }))

  it.effect("unknown: nothing is similar, and which models have similar names", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const names = ["claude", "gpt-4o-mini", "gpt-4o"]
      for (const model of names) yield* put(store, yield* identityOf({ model }), "Name a river in the north.")
      const explanation = yield* Explain.miss(store, draw(yield* identityOf({ model: "GPT-4o" }), "A number?"))
      assert.strictEqual(explanation.verdict, "unknown")
      if (explanation.verdict !== "unknown") return
      assert.deepStrictEqual(explanation.identities.map(({ name }) => name), ["gpt-4o", "gpt-4o-mini", "claude"])
      assert.strictEqual(explanation.compared, 0)
      const other = yield* Explain.miss(store, draw(yield* identityOf(), "Compute 12 times 13?"))
      assert.deepInclude(other, { verdict: "unknown", compared: 1 })
      const empty = yield* Explain.miss(yield* MemoryStore.make, draw(yield* identityOf(), "p"))
      assert.deepInclude(empty, { verdict: "unknown", identities: [], compared: 0 })
      assert.include(Explain.format(empty), "The cache is empty")
    }))
})

describe("The misses of a run", () => {
  const runOf = <A, E, R>(root: string, self: Effect.Effect<A, E, R>) =>
    Effect.gen(function*() {
      const events = yield* Events.make
      const scope = yield* Scope.make()
      const trace = yield* Scope.provide(Trace.make({ directory: root }), scope)
      yield* events.listen(trace.listener)
      const exit = yield* Effect.exit(Effect.provideService(self, Events.Events, events))
      yield* Scope.close(scope, exit)
      return trace.run.file
    }).pipe(Effect.scoped)

  it.effect("are told from those that follow from an earlier miss or purchase", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const question = "an unknown\n\"question\""
      const store = yield* DirectoryStore.make(root, { durability: "process" })
      const { model } = yield* TestModel.make({
        script: ({ n, prompt }) => Array<string>(n).fill(`the answer to ${prompt}!`)
      })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* LlmModel.sampleMany("known", 2).pipe(using(yield* Persistent.make(model, store)))
      }))
      const file = yield* runOf(
        root,
        Effect.scoped(Effect.gen(function*() {
          const replica = yield* Persistent.make(model, store, { replication: true })
          const ask = (prompt: string) => Effect.exit(LlmModel.sampleOne(prompt).pipe(using(replica)))
          const bought = yield* LlmModel.sampleOne("new").pipe(using(yield* Persistent.make(model, store)))
          yield* ask("known")
          yield* ask(`Improve this: ${bought}`)
          yield* ask(question).pipe(Fork.fork("f"))
          yield* ask(JSON.stringify({ text: question, more: "\n" }))
          yield* ask(`${JSON.stringify({ text: question, more: "\n" })} and more`)
          yield* ask("short")
          yield* ask("short, but known by chance")
        }))
      )
      const misses = yield* Explain.misses(store, file)
      assert.deepStrictEqual(
        misses.map(({ follows, from, number, path, position }) => ({ number, from, follows, path, position })),
        [
          { number: 3, from: 1, follows: 0, path: [], position: 0 },
          { number: 4, from: undefined, follows: 2, path: ["f"], position: 0 },
          { number: 5, from: 4, follows: 0, path: [], position: 0 },
          { number: 6, from: 4, follows: 0, path: [], position: 0 },
          { number: 7, from: undefined, follows: 0, path: [], position: 0 },
          { number: 8, from: undefined, follows: 0, path: [], position: 0 }
        ]
      )
      assert.deepStrictEqual(misses[1]!.prompt, question)
      assert.deepInclude(yield* Explain.miss(store, misses[0]!), { verdict: "follows", from: 1 })
      assert.deepStrictEqual(yield* Explain.misses(store, yield* runOf(root, Effect.void)), [])
    }))

  it("compares any two texts by word", () => {
    assert.deepStrictEqual(Explain.differences("It is 92.", "It was 92."), [{
      edits: [
        { kind: "same", text: "It " },
        { kind: "stored", text: "is" },
        { kind: "asked", text: "was" },
        { kind: "same", text: " 92." }
      ]
    }])
  })
})
