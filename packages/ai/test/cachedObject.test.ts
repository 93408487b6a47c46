import { assert, describe, it } from "@effect/vitest"
import { CacheErrors } from "@llm-cache/ai"
import { Attempt, Independent, MemoryStore, SampleError } from "@llm-cache/core"
import { DateTime, Effect, Schema, SchemaGetter, SchemaTransformation } from "effect"
import { LanguageModel, OpenAiStructuredOutput, Telemetry } from "effect/ai"
import { keysOf, samplesOf } from "./support/listed.ts"
import { cached, finish, replayed, scripted, text } from "./support/scripted.ts"

const Person = Schema.Struct({ name: Schema.String, born: Schema.Int })

const person = LanguageModel.generateObject({ prompt: "Ada?", schema: Person, objectName: "person" })

describe("generateObject", () => {
  it.effect("replays the object and the content", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const provider = scripted(() => [text(`{"name":"Ada","born":1815}`), finish()])
      const first = yield* Effect.provide(person, cached(provider.layer, { store }))
      const second = yield* Effect.provide(person, replayed(store))
      assert.deepStrictEqual(first.value, { name: "Ada", born: 1815 })
      assert.deepStrictEqual(second.value, first.value)
      assert.deepStrictEqual(second.content, first.content)
    }))

  it.effect("decodes classes and dates as the bare model does", () =>
    Effect.gen(function*() {
      class Event
        extends Schema.Class<Event>("Event")({ at: Schema.DateTimeUtcFromString, tag: Schema.Option(Schema.String) })
      {}
      const program = LanguageModel.generateObject({ prompt: "When?", schema: Event })
      const script = () => [text(`{"at":"2026-01-02T03:04:05.000Z","tag":{"_tag":"None"}}`), finish()]
      const error = Effect.flip(program)
      const store = yield* MemoryStore.make
      const Dated = Schema.Struct({ at: Schema.DateTimeUtcFromString })
      const dated = LanguageModel.generateObject({ prompt: "When?", schema: Dated })
      const { value } = yield* Effect.provide(dated, cached(scripted(script).layer, { store }))
      assert.strictEqual(DateTime.formatIso(value.at), "2026-01-02T03:04:05.000Z")
      const again = yield* Effect.provide(dated, replayed(store))
      assert.deepStrictEqual(again.value, value)
      assert.deepStrictEqual(
        (yield* Effect.provide(error, cached(scripted(script).layer))).message,
        (yield* Effect.provide(error, scripted(script).layer)).message
      )
    }))

  it.effect("decodes what only the provider's codec can decode, several at once", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({
        scores: Schema.Record(Schema.String, Schema.Int),
        note: Schema.optionalKey(Schema.String)
      })
      const { jsonSchema } = OpenAiStructuredOutput.toCodecOpenAI(schema)
      assert.isObject(jsonSchema)
      const provider = scripted(
        (_, i) => [text(`{"scores":[{"0":"a","1":${i}}],"note":null}`), finish()],
        undefined,
        { codecTransformer: OpenAiStructuredOutput.toCodecOpenAI }
      )
      const ask = (prompt: string) => Effect.map(LanguageModel.generateObject({ prompt, schema }), ({ value }) => value)
      const store = yield* MemoryStore.make
      const program = Effect.all([ask("x"), ask("y"), ask("z")], { concurrency: "unbounded" })
      const first = yield* Effect.provide(program, cached(provider.layer, { store }))
      assert.deepStrictEqual(first, [{ scores: { a: 0 } }, { scores: { a: 1 } }, { scores: { a: 2 } }])
      assert.deepStrictEqual(yield* Effect.provide(program, replayed(store)), first)
    }))

  it.effect("gives the bare model's value of a schema that cannot encode it, or does so to another value", () =>
    Effect.gen(function*() {
      const length = Schema.String.pipe(Schema.decodeTo(Schema.Int, {
        decode: SchemaGetter.transform((text: string) => text.length),
        encode: SchemaGetter.forbidden(() => "no way back")
      }))
      const louder = Schema.String.pipe(Schema.decodeTo(
        Schema.String,
        SchemaTransformation.transform({ decode: (text: string) => `${text}!`, encode: (text: string) => text })
      ))
      const script = () => [text(`{"of":"hey"}`), finish()]
      for (const [schema, of] of [[length, 3], [louder, "hey!"]] as const) {
        const program = LanguageModel.generateObject({ prompt: "x", schema: Schema.Struct({ of: schema }) })
        const store = yield* MemoryStore.make
        for (const model of [scripted(script).layer, cached(scripted(script).layer, { store }), replayed(store)]) {
          assert.strictEqual<string | number>((yield* Effect.provide(program, model)).value.of, of)
        }
      }
    }))

  it.effect("gives the bare model's value of unions, recursion, options, dates and classes", () =>
    Effect.gen(function*() {
      interface Tree {
        readonly name: string
        readonly children: ReadonlyArray<Tree>
      }
      const Tree: Schema.Codec<Tree> = Schema.Struct({
        name: Schema.String,
        children: Schema.Array(Schema.suspend(() => Tree))
      })
      class Person extends Schema.Class<Person>("Person")({ born: Schema.optionalKey(Schema.DateTimeUtcFromString) }) {}
      const schema = Schema.Struct({
        tree: Tree,
        either: Schema.Union([Schema.Struct({ a: Schema.Int }), Person]),
        none: Schema.OptionFromNullOr(Schema.String),
        any: Schema.Unknown,
        five: Schema.Int.pipe(Schema.withDecodingDefaultKey(Effect.succeed(5)))
      })
      const answer = `{"tree":{"name":"a","children":[{"name":"b","children":[]}]},` +
        `"either":{"born":"2026-01-02T03:04:05.000Z"},"none":null,"any":{"object":1,"type":"x"}}`
      const script = () => [text(answer), finish()]
      const program = Effect.map(LanguageModel.generateObject({ prompt: "x", schema }), ({ value }) => value)
      const store = yield* MemoryStore.make
      const bare = yield* Effect.provide(program, scripted(script).layer)
      assert.deepStrictEqual(yield* Effect.provide(program, cached(scripted(script).layer, { store })), bare)
      assert.deepStrictEqual(yield* Effect.provide(program, replayed(store)), bare)
      assert.instanceOf(bare.either, Person)
    }))

  it.effect("fails where the provider's codec fails, although the text has the form of the schema", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({ scores: Schema.Record(Schema.String, Schema.Int) })
      const extra = { codecTransformer: OpenAiStructuredOutput.toCodecOpenAI }
      const provider = () => scripted(() => [text(`{"scores":{"a":1}}`), finish()], undefined, extra).layer
      const failing = Effect.flip(LanguageModel.generateObject({ prompt: "x", schema }))
      const store = yield* MemoryStore.make
      const bare = yield* Effect.provide(failing, provider())
      for (const model of [cached(provider(), { store }), replayed(store)]) {
        assert.strictEqual((yield* Effect.provide(failing, model)).message, bare.message)
      }
    }))

  it.effect("replays an object that cannot be decoded with the provider's message, and keeps its tokens", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const script = () => [text(`{"name":"Ada"}`), finish()]
      const failing = Effect.flip(person)
      const bare = yield* Effect.provide(failing, scripted(script).layer)
      const first = yield* Effect.provide(failing, cached(scripted(script).layer, { store }))
      const second = yield* Effect.provide(failing, replayed(store))
      assert.strictEqual(first.message, bare.message)
      assert.deepStrictEqual(Object.entries(second.reason), Object.entries(bare.reason))
      const samples = yield* samplesOf(store)
      assert.deepStrictEqual(samples.map(({ metadata }) => metadata.outputTokens), [5])
    }))

  it.effect("keeps the message of a codec that the cache does not have", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const script = () => [text(`{"scores":5}`), finish()]
      const schema = Schema.Struct({ scores: Schema.Record(Schema.String, Schema.Int) })
      const extra = { codecTransformer: OpenAiStructuredOutput.toCodecOpenAI }
      const failing = Effect.flip(LanguageModel.generateObject({ prompt: "x", schema }))
      const bare = yield* Effect.provide(failing, scripted(script, undefined, extra).layer)
      const other = yield* Effect.provide(failing, scripted(script).layer)
      assert.notStrictEqual(other.message, bare.message)
      yield* Effect.provide(failing, cached(scripted(script, undefined, extra).layer, { store }))
      assert.strictEqual((yield* Effect.provide(failing, replayed(store))).message, bare.message)
    }))

  it.effect("is retried by attempts, which replay; a shorter recording is a miss at once", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const provider = scripted((_, i) => [text(i < 2 ? `{"name":${i}}` : `{"name":"Ada","born":1815}`), finish()])
      const errors: Array<string> = []
      const agent = person.pipe(
        Effect.tapError((error) => Effect.sync(() => errors.push(error.message))),
        Attempt.retry({ times: 5 }),
        Effect.provide(Independent.layer)
      )
      const first = yield* Effect.provide(agent, cached(provider.layer, { store }))
      assert.strictEqual(provider.requests.length, 3)
      const seen = errors.splice(0)
      const second = yield* Effect.provide(agent, replayed(store))
      assert.deepStrictEqual(second.value, first.value)
      assert.deepStrictEqual(errors, seen)
      for (const key of yield* keysOf(store)) yield* store.remove(key, [2])
      errors.length = 0
      const miss = yield* CacheErrors.expose(agent).pipe(Effect.provide(replayed(store)), Effect.flip)
      assert.instanceOf(miss, SampleError.ReplicationCacheMiss)
      assert.strictEqual(errors.length, 3)
    }))

  it.effect("calls the transformer of the span once, and adds no attributes of usage to a hit", () =>
    Effect.gen(function*() {
      const calls: Array<number> = []
      const program = person.pipe(
        Effect.provideService(Telemetry.CurrentSpanTransformer, ({ response }) => void calls.push(response.length))
      )
      yield* Effect.provide(
        Effect.all([program, program]),
        cached(scripted(() => [text(`{"name":"Ada","born":1815}`), finish()]).layer)
      )
      assert.deepStrictEqual(calls, [2, 2])
    }))
})
