// A process of `ProcessTest`: it opens the store of a module, waits for a byte on its input, and does its task.
import { Identity, Independent, Key, LlmModel, Persistent, SampleError, SampleStore } from "@llm-cache/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import {
  headOf,
  type Inspection,
  type Instruction,
  type Line,
  readHead,
  type Recording,
  type Task,
  textOf
} from "./processProtocol.ts"

const options: Identity.Options = { model: "process-test", temperature: 1 }

// Synchronous, so that the killing process knows every sample that this process received.
const print = (line: Line): void => void Fs.writeSync(1, `${JSON.stringify(line)}\n`)

/** The end of the input tells the process to stop. */
const makeStop = () => {
  const listeners = new Set<() => void>()
  let isAsked = false
  return {
    isAsked: () => isAsked,
    start: (): void => {
      print({ _tag: "Ready" })
      if (Fs.readSync(0, Buffer.alloc(1)) === 0) process.exit(1)
      process.stdin.on("end", () => {
        isAsked = true
        for (const listener of listeners) listener()
      })
      process.stdin.resume().unref()
    },
    wait: Effect.callback<void>((resume) => {
      if (isAsked) resume(Effect.void)
      else listeners.add(() => resume(Effect.void))
    })
  }
}

type Stop = ReturnType<typeof makeStop>

const provider = ({ hangs, isExact, name }: Recording, stop: Stop) => {
  let requests = 0
  return LlmModel.make({
    ...options,
    maxBatch: 5,
    generate: Effect.fnUntraced(function*({ n, prompt }) {
      print({ _tag: "Asked", prompt })
      if (hangs) {
        yield* stop.wait
        return yield* new SampleError.ProviderError({
          provider: name,
          reason: new SampleError.ServerFault({ description: "stopped" })
        })
      }
      yield* Effect.sleep(yield* Random.nextBetween(0, 3))
      const size = isExact ? n : Math.max(1, n + (yield* Random.nextIntBetween(-1, 2)))
      const request = `${name}-${requests++}`
      print({ _tag: "Answered", prompt, request, size })
      return { samples: Array.from({ length: size }, (_, i) => textOf(headOf(request, i, size, prompt))) }
    })
  })
}

/** A store that prints the results of its leases. */
const watched = (store: SampleStore.Store): SampleStore.Store =>
  SampleStore.make({
    ...store,
    leases: store.leases && {
      ...store.leases,
      acquire: (...args) =>
        Effect.tap(store.leases!.acquire(...args), (isOurs) => Effect.sync(() => print({ _tag: "Lease", isOurs })))
    }
  })

const see = (prompt: string, position: number | undefined) => (text: string) =>
  print({ _tag: "Seen", prompt, position, head: readHead(text) })

const run = Effect.fnUntraced(function*(model: LlmModel.Model, { batch, how, n = Infinity, prompt }: Task, stop: Stop) {
  const using = Effect.provideService(LlmModel.LlmModel, model)
  const each = (n: number, f: (text: string, position: number) => void) =>
    LlmModel.sample(prompt, { batch }).pipe(
      Stream.take(n),
      Stream.takeUntil(stop.isAsked),
      Stream.zipWithIndex,
      Stream.runForEach(([text, position]) => Effect.sync(() => f(text, position))),
      using
    )
  switch (how) {
    case "stream":
      return yield* each(n, (text, position) => see(prompt, position)(text))
    case "many": {
      const texts = yield* using(LlmModel.sampleMany(prompt, n))
      return texts.forEach((text, position) => see(prompt, position)(text))
    }
    case "independent":
      // Two runs share a reader.
      yield* Effect.all([
        each(Math.floor(n / 2), see(prompt, undefined)),
        each(Math.ceil(n / 2), see(prompt, undefined))
      ], {
        concurrency: 2
      })
  }
})

const record = Effect.fnUntraced(
  function*(store: SampleStore.Store, recording: Recording, stop: Stop) {
    const { lease, retries, tasks } = recording
    const remembered = yield* Persistent.make(yield* provider(recording, stop), watched(store), { lease })
    const independent = yield* Independent.make(remembered)
    stop.start()
    yield* Effect.forEach(tasks, (task) =>
      run(task.how === "independent" ? independent : remembered, task, stop).pipe(
        Effect.tapError((error) =>
          Effect.sync(() => print({ _tag: "Failed", error: `${error._tag}: ${error.message}` }))
        ),
        (self) => retries ? Effect.retry(self, Schedule.spaced("10 millis")) : Effect.ignore(self)
      ), { concurrency: 4, discard: true })
  },
  (self, _store, { seed }) => Random.withSeed(self, seed),
  Effect.scoped
)

const inspect = Effect.fnUntraced(function*(store: SampleStore.Store, { prompts }: Inspection, stop: Stop) {
  const identity = yield* Identity.make(options)
  stop.start()
  yield* Effect.forEach(prompts, (prompt) => store.prepare(new Key.Key(identity, prompt, [])))
  yield* Stream.runForEach(store.keys(), (listed) =>
    Effect.gen(function*() {
      const { key, samples } = yield* Effect.fromResult(listed)
      const positions = yield* store.positions(key)
      if (positions.length !== samples) {
        return yield* Effect.die(
          new Error(`${key.prompt}: ${samples} samples are listed, and there are ${positions.length}`)
        )
      }
      for (const position of positions) {
        const drawn = yield* store.get(key, position)
        print({ _tag: "Stored", prompt: key.prompt, position, head: drawn ? readHead(drawn.text) : "MISSING" })
      }
    }))
})

const [module, json] = process.argv.slice(2) as [string, string]
const instruction = JSON.parse(json) as Instruction
const { layer } = (await import(module)) as {
  readonly layer: Layer.Layer<SampleStore.SampleStore, SampleError.InvalidInput | SampleError.StoreError>
}
if (layer === undefined) throw new Error(`${module} does not export \`layer\`, the layer of a store`)

await Effect.runPromise(
  Effect.scoped(Effect.flatMap(Layer.build(layer), (context) => {
    const store = Context.get(context, SampleStore.SampleStore)
    return instruction._tag === "Recording"
      ? record(store, instruction, makeStop())
      : inspect(store, instruction, makeStop())
  }))
)
