import { DirectoryStore, Events, Trace } from "@llm-cache/core"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Effect from "effect/Effect"
import * as Path from "node:path"
import { above, atMost } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { ahead } from "../support/ahead.ts"
import { inTurn, persistent, repeatable, run, sampleEach } from "../support/models.ts"
import { promptOf, promptsOf } from "../support/payload.ts"

const [prompts, times] = [1000, 20]

/** Runs a program with a trace of its own: a trace has a greatest size. */
const traced = <A, E, R>(folder: string, self: Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.gen(function*() {
    const events = yield* Events.make
    const { listener } = yield* Trace.make({ directory: folder })
    yield* events.listen(listener)
    return yield* Effect.provideService(self, Events.Events, events)
  }))

export const tracingHits: Row = {
  name: "tracing-hits",
  title: "memory hit, with a trace",
  operation: "a sample",
  checks: [above(2, "without a trace")],
  note: "A line of 120 bytes for each hit. Writing them takes longer if other programs keep the disk busy.",
  setup: async ({ folder, scope }) => {
    const all = promptsOf(prompts)
    const model = await repeatable(scope)
    await run(model, sampleEach(all))
    const hits = inTurn(prompts * times, (i) => LlmModel.sampleOne(all[i % prompts]!))
    return [
      {
        name: "with a trace",
        role: "ours",
        operations: prompts * times,
        run: () => run(model, traced(folder, hits))
      },
      { name: "without a trace", role: "floor", operations: prompts * times, run: () => run(model, hits) }
    ]
  }
}

/** The prompts of a call that records. */
const count = 300

export const tracingRecords: Row = {
  name: "tracing-records",
  title: "recording in a directory, with a trace",
  operation: "a sample",
  once: true,
  checks: [atMost(1.1, "without a trace")],
  note:
    "A line for the miss, the request, its answer and the sample, and one with the prompt, which the cache does not have.",
  setup: async ({ folder, scope }) => {
    const open = async (name: string) =>
      persistent(await Effect.runPromise(DirectoryStore.make(Path.join(folder, name))), scope)
    const [heard, alone] = [await open("heard"), await open("alone")]
    let next = 0
    const fresh = () => Array.from({ length: count }, () => promptOf(next++))
    return [
      {
        name: "with a trace",
        role: "ours",
        operations: count,
        run: ahead(fresh, (prompts) => run(heard, traced(folder, sampleEach(prompts))))
      },
      {
        name: "without a trace",
        role: "floor",
        operations: count,
        run: ahead(fresh, (prompts) => run(alone, sampleEach(prompts)))
      }
    ]
  }
}
