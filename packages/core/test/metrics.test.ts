import { assert, describe, it } from "@effect/vitest"
import {
  Events,
  LlmModel,
  MemoryStore,
  Metrics,
  Persistent,
  Repeatable,
  SampleError,
  SampleStore
} from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Effect, Layer, Metric, Option, Tracer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { OtlpMetrics, OtlpSerialization } from "effect/observability"
import { TestClock } from "effect/testing"
import { makeProvider, using } from "./support/provider.ts"

/** The metrics of a program, in its own registry. */
const metricsOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    yield* Effect.exit(self)
    return (yield* Metric.snapshot).filter(({ id }) => /^(gen_ai|llm_cache)\./.test(id))
  }).pipe(
    Effect.provide(Layer.provideMerge(Metrics.layer, Events.layer)),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

describe("Metrics", () => {
  it.effect("of requests have the names and attributes of OpenTelemetry", () =>
    Effect.gen(function*() {
      const model = yield* LlmModel.make({
        model: "m",
        alias: "named",
        generate: ({ n }) =>
          Effect.as(TestClock.adjust("1500 millis"), {
            samples: Array(n).fill("a"),
            model: "m-1",
            inputTokens: 7,
            outputTokens: 30
          })
      })
      const metrics = yield* metricsOf(LlmModel.sampleMany("p", 2).pipe(using(model)))
      const request = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m-1"
      }
      const rows = metrics.map(({ attributes, id, state }) => {
        assert("sum" in state && "count" in state)
        return [id, attributes, state.count, state.sum]
      })
      assert.deepStrictEqual(rows, [
        ["gen_ai.client.operation.duration", { ...request, unit: "s" }, 1, 1.5],
        ["gen_ai.client.token.usage", { ...request, unit: "{token}", "gen_ai.token.type": "input" }, 1, 7],
        ["gen_ai.client.token.usage", { ...request, unit: "{token}", "gen_ai.token.type": "output" }, 1, 30]
      ])
    }))

  it.effect("of failed requests have the error", () =>
    Effect.gen(function*() {
      const reason = new SampleError.RateLimited({ description: "too many" })
      const failing = yield* LlmModel.make({
        model: "m",
        generate: () => Effect.fail(new SampleError.ProviderError({ provider: "m", reason }))
      })
      const [metric, ...others] = yield* metricsOf(LlmModel.sampleOne("p").pipe(using(failing)))
      assert.deepInclude(metric?.attributes, { "error.type": "RateLimited" })
      assert.lengthOf(others, 0)
    }))

  it.effect("of requests that die have the error type `defect`", () =>
    Effect.gen(function*() {
      const dying = yield* LlmModel.make({ model: "m", generate: () => Effect.die(new Error("a bug")) })
      const [metric, ...others] = yield* metricsOf(LlmModel.sampleOne("p").pipe(using(dying)))
      assert.deepInclude(metric?.attributes, { "error.type": "defect" })
      assert.lengthOf(others, 0)
    }))

  it.effect("of interrupted requests have the error type `interrupted`", () =>
    Effect.gen(function*() {
      const slow = yield* LlmModel.make({ model: "m", generate: () => Effect.never })
      const draw = Effect.timeout(LlmModel.sampleOne("p").pipe(using(slow)), "2 seconds")
      const [metric, ...others] = yield* metricsOf(Effect.race(draw, TestClock.adjust("1 minute")))
      assert.strictEqual(metric?.id, "gen_ai.client.operation.duration")
      assert.deepInclude(metric?.attributes, { "error.type": "interrupted" })
      assert.lengthOf(others, 0)
    }))

  it.effect("of requests have the boundaries of OpenTelemetry", () =>
    Effect.gen(function*() {
      const model = yield* LlmModel.make({
        model: "m",
        generate: () => Effect.succeed({ samples: ["a"], inputTokens: 5 })
      })
      const boundaries = (yield* metricsOf(LlmModel.sampleOne("p").pipe(using(model)))).map(({ id, state }) => {
        assert("buckets" in state)
        return [id, state.buckets.map(([boundary]) => boundary)]
      })
      assert.deepStrictEqual(boundaries, [
        [
          "gen_ai.client.operation.duration",
          [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
        ],
        [
          "gen_ai.client.token.usage",
          [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]
        ]
      ])
    }))

  it.effect("reach a collector with the units of OpenTelemetry", () =>
    Effect.gen(function*() {
      const model = yield* LlmModel.make({
        model: "m",
        generate: () => Effect.succeed({ samples: ["a"], inputTokens: 5 })
      })
      const sent: Array<{ readonly name: string; readonly unit: string }> = []
      const client = HttpClient.make((request) =>
        Effect.sync(() => {
          assert(request.body._tag === "Uint8Array")
          const { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] } = JSON.parse(
            new TextDecoder().decode(request.body.body)
          )
          sent.push(...metrics)
          return HttpClientResponse.fromWeb(request, new Response("{}"))
        })
      )
      const collector = OtlpMetrics.layer({ url: "http://collector/v1/metrics", resource: { serviceName: "test" } })
        .pipe(
          Layer.provide([OtlpSerialization.layerJson, Layer.succeed(HttpClient.HttpClient, client)])
        )
      yield* metricsOf(LlmModel.sampleOne("p").pipe(using(model), Effect.provide(collector)))
      assert.deepStrictEqual(sent.map(({ name, unit }) => [name, unit]), [
        ["gen_ai.client.operation.duration", "s"],
        ["gen_ai.client.token.usage", "{token}"]
      ])
    }))

  it.effect("of caches count hits, misses and stored samples by store", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const store = yield* Effect.provide(SampleStore.SampleStore, MemoryStore.layer)
      const cached = yield* Persistent.make(provider.model, store)
      const model = yield* Repeatable.make(cached)
      const metrics = yield* metricsOf(
        Effect.andThen(LlmModel.sampleMany("p", 3), LlmModel.sampleOne("p")).pipe(using(model))
      )
      const counts = metrics.filter(({ attributes, id }) =>
        id.startsWith("llm_cache.") && attributes?.["llm_cache.store"] === store.id
      ).map(({ attributes, id, state }) => {
        assert.strictEqual(attributes?.["gen_ai.request.model"], "mock")
        return [id, "count" in state && state.count]
      })
      assert.deepStrictEqual(counts, [["llm_cache.misses", 1], ["llm_cache.stored", 3], ["llm_cache.hits", 2]])
    }))

  it.effect("have the names of `Metrics.names`, and no others", () =>
    Effect.gen(function*() {
      const { model } = yield* TestModel.make({
        script: () => ({ samples: [{ text: "a", finishReason: "length" }, "b"], inputTokens: 1, outputTokens: 1 })
      })
      const store = yield* Effect.provide(SampleStore.SampleStore, MemoryStore.layer)
      const excluding = yield* Persistent.make(model, store, { excludeFinishReasons: ["length"] })
      const draws = Effect.andThen(LlmModel.sampleOne("p"), LlmModel.sampleOne("p"))
      const metrics = yield* metricsOf(draws.pipe(using(excluding)))
      const ids = metrics.map(({ id }) => id).filter((id) => /^(?:gen_ai|llm_cache)\./.test(id))
      assert.sameMembers([...new Set(ids)], Object.values(Metrics.names))
    }))

  it.effect("have a bounded number of series for any number of attempts", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      yield* Effect.repeat(
        LlmModel.sampleOne("p").pipe(Effect.provide(Layer.provide(Repeatable.layer, provider.layer))),
        { times: 99 }
      ).pipe(Effect.provide(Layer.provideMerge(Metrics.layer, Events.layer)))
      const misses = (yield* Metric.snapshot).filter(({ id }) => id === "llm_cache.misses")
      assert.isAtMost(misses.length, 2)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("have the provider's name", () =>
    Effect.gen(function*() {
      const model = yield* LlmModel.make({
        model: "m",
        provider: "openai",
        generate: () => Effect.succeed({ samples: ["a"] })
      })
      yield* LlmModel.sampleOne("p").pipe(
        using(model),
        Effect.provide(Layer.provideMerge(Metrics.layer, Events.layer))
      )
      const [metric] = (yield* Metric.snapshot).filter(({ id }) => id === "gen_ai.client.operation.duration")
      assert.include(JSON.stringify(metric!.attributes), "openai")
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
})

const makeTracer = () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}

describe("Spans", () => {
  it.effect("of requests have the names and attributes of OpenTelemetry", () =>
    Effect.gen(function*() {
      const { spans, tracer } = makeTracer()
      const model = yield* LlmModel.make({
        model: "m",
        provider: "openai",
        temperature: 0.5,
        generate: ({ n }) =>
          Effect.succeed({
            samples: Array.from({ length: n }, () => ({ text: "a", finishReason: "stop" })),
            model: "m-1",
            inputTokens: 7,
            outputTokens: 30
          })
      })
      yield* LlmModel.sampleMany("p", 2).pipe(using(model), Effect.withTracer(tracer))
      const [span, ...others] = spans
      assert.lengthOf(others, 0)
      assert(span !== undefined)
      assert.strictEqual(span.name, "chat m")
      assert.strictEqual(span.kind, "client")
      const { "llm_cache.request": request, ...attributes } = Object.fromEntries(span.attributes)
      assert.isString(request)
      assert.deepStrictEqual(attributes, {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.model": "m-1",
        "gen_ai.response.finish_reasons": ["stop", "stop"],
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 30
      })
    }))

  it.effect("leave the tokens out if a span inside the request has them", () =>
    Effect.gen(function*() {
      const { spans, tracer } = makeTracer()
      const model = yield* LlmModel.make({
        model: "m",
        generate: () => Effect.succeed({ samples: ["a"], inputTokens: 7, outputTokens: 30, isUsageTraced: true })
      })
      const { metadata } = yield* LlmModel.sampleOneWithMetadata("p").pipe(using(model), Effect.withTracer(tracer))
      assert.deepStrictEqual([metadata.inputTokens, metadata.outputTokens], [7, 30])
      assert.deepStrictEqual([...spans[0]!.attributes.keys()].filter((name) => name.startsWith("gen_ai.usage")), [])
    }))

  it.effect("exist only inside a tracer or another span", () =>
    Effect.gen(function*() {
      const seen: Array<string | undefined> = []
      const model = yield* LlmModel.make({
        model: "m",
        generate: () =>
          Effect.map(Effect.option(Effect.currentSpan), (span) => {
            seen.push(Option.getOrUndefined(span)?.name)
            return { samples: ["a"] }
          })
      })
      const draw = using(model)(LlmModel.sampleOne("p"))
      yield* draw
      yield* Effect.withSpan(draw, "around")
      yield* Effect.withTracer(draw, makeTracer().tracer)
      yield* draw
      assert.deepStrictEqual(seen, [undefined, "chat m", "chat m", undefined])
    }))

  it.effect("of requests that fail have the reason", () =>
    Effect.gen(function*() {
      const { spans, tracer } = makeTracer()
      const requests: Record<string, LlmModel.Options["generate"]> = {
        UnusableResponse: () => Effect.succeed({ samples: [] }),
        defect: () => Effect.die(new Error("a bug")),
        interrupted: () => Effect.interrupt
      }
      for (const [type, generate] of Object.entries(requests)) {
        const model = yield* LlmModel.make({ model: "m", generate })
        yield* Effect.exit(LlmModel.sampleOne("p").pipe(using(model), Effect.withTracer(tracer)))
        assert.strictEqual(spans.at(-1)?.attributes.get("error.type"), type)
      }
      assert.lengthOf(spans, 3)
    }))
})
