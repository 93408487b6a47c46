import { Audit, Events, LlmModel } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import { atMost } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { inTurn, repeatable, run, sampleEach } from "../support/models.ts"
import { promptsOf } from "../support/payload.ts"

const [count, times] = [1000, 5]

/**
 * What a hit costs with what can listen to it built in, and no one listening. Whatever comes to be that listens (events,
 * metrics) gets a case here, built in and with no listener, and a check of its own.
 */
export const listeners: Row = {
  name: "listeners",
  title: "memory hit, with an audit and with events that no one listens by",
  operation: "a sample",
  slack: 1.5,
  checks: [
    atMost(1.05, "sampleOne, with nothing that listens"),
    atMost(1.05, "sampleOne, with nothing that listens", "sampleOne, events that no one hears")
  ],
  setup: async ({ scope }) => {
    const prompts = promptsOf(count)
    const model = await repeatable(scope)
    await run(model, sampleEach(prompts))
    const audit = await Effect.runPromise(Audit.make)
    const all = inTurn(count * times, (i) => LlmModel.sampleOne(prompts[i % count]!))
    const watched = audit.watch(model, "bench")
    const events = await Effect.runPromise(Events.make)
    return [
      {
        name: "sampleOne, an audit that does not watch",
        role: "ours",
        operations: count * times,
        run: () => run(model, Effect.provideService(all, Audit.Audit, audit))
      },
      {
        name: "sampleOne, events that no one hears",
        role: "ours",
        operations: count * times,
        run: () => run(model, Effect.provideService(all, Events.Events, events))
      },
      {
        name: "sampleOne, with nothing that listens",
        role: "floor",
        operations: count * times,
        run: () => run(model, all)
      },
      { name: "sampleOne, watched by an audit", role: "ours", operations: count * times, run: () => run(watched, all) }
    ]
  }
}
