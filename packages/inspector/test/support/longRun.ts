import { Identity, Trace } from "@llm-cache/core"
import { Key } from "@llm-cache/core/Key"
import { Effect } from "effect"

/** Begins a run that draws as often as its `draw` says, until the scope closes. */
export const beginLongRun = (directory: string, name: string) =>
  Effect.gen(function*() {
    const identity = yield* Identity.make({ model: "gpt-4o", temperature: 1 })
    const keys = Array.from({ length: 1000 }, (_, i) => new Key(identity, `Question ${i}`, [`worker-${i % 7}`]))
    const trace = yield* Trace.make({ directory, name })
    let drawn = 0
    return {
      run: trace.run,
      draw: (count: number) =>
        Effect.sync(() => {
          for (const last = drawn + count; drawn < last; drawn++) {
            trace.listener({
              _tag: "Hit",
              key: keys[drawn % keys.length]!,
              position: Math.floor(drawn / keys.length),
              store: `directory ${directory}`,
              sample: {
                text: "An answer.",
                metadata: { request: `request-${drawn}`, index: 0, inputTokens: 20, outputTokens: 5, elapsed: 1 }
              },
              waited: false
            })
          }
        })
    }
  })
