import { registerHooks } from "node:module"

// A browser: no module of Node.js, and none of its globals.
registerHooks({
  resolve: (specifier, context, next) => {
    if (/^node:|^(fs|path|crypto|zlib|os|buffer)$/.test(specifier)) throw new Error(`a browser has no ${specifier}`)
    return next(specifier, context)
  }
})
for (const name of ["process", "Buffer", "setImmediate", "clearImmediate"]) Reflect.deleteProperty(globalThis, name)

const {
  DirectoryStore,
  Events,
  Fork,
  Independent,
  LlmModel,
  MemoryStore,
  Persistent,
  Progress,
  Repeatable,
  RescueFile,
  SampleError,
  SampleStore
} = await import("@llm-cache/core")
const { Effect, Layer, Logger } = await import("effect")

let requests = 0
const model = LlmModel.layer({
  model: "m",
  generate: ({ n }) =>
    Effect.succeed({
      samples: Array.from({ length: n }, (_, i) => `${requests} ${i}`),
      responseId: `response ${requests++}`
    })
})
const cached = Persistent.layer({ store: MemoryStore.layer })
const draws = LlmModel.sampleMany("A number?", 2)
const program = Effect.all([
  draws,
  Fork.fork(draws, "f"),
  Effect.provide(draws, Independent.layer),
  Effect.provide(draws, Repeatable.layer)
])
const progress: Array<string> = []
console.error = (text: string) => progress.push(text)
const watched = Layer.provideMerge(Progress.layer(), Events.layer)
const sampled = await Effect.runPromise(
  program.pipe(Effect.provide(cached), Effect.provide(model), Effect.provide(watched))
)

const replicated = Persistent.layerReplication({ model: "m", store: MemoryStore.layer })
const miss = await Effect.runPromise(Effect.flip(LlmModel.sampleOne("A number?")).pipe(Effect.provide(replicated)))
const refused = await Effect.runPromise(Effect.flip(DirectoryStore.make("cache")))
const noFile = await Effect.runPromise(Effect.flip(RescueFile.open("rescue")))

// A store that refuses its samples until the end: there is no file to write them to.
const log: Array<string> = []
const logger = Logger.make(({ message }) => void log.push(String(message)))
const refusing = MemoryStore.make.pipe(
  Effect.map((memory) => SampleStore.make({ ...memory, put: () => Effect.die(new Error("full")) }))
)
await Effect.runPromise(
  Effect.flatMap(refusing, (store) => Effect.exit(Effect.provide(draws, Persistent.layer({ store })))).pipe(
    Effect.provide([model, Logger.layer([logger])])
  )
)

console.log(JSON.stringify({
  sampled,
  requests: requests - 1,
  progress,
  hash: miss instanceof SampleError.ReplicationCacheMiss && miss.promptHash,
  refused: `${refused.message} ${noFile.message}`,
  log
}))
