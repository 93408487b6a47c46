// Prints whether effect/Schema is loaded: by the library, by specs without JSON, and by specs with JSON.
import { registerHooks } from "node:module"

let isLoaded = false
registerHooks({
  load: (url, context, next) => {
    isLoaded ||= /\/effect\/(?:src|dist)\/Schema\.[jt]s$/.test(url)
    return next(url, context)
  }
})

const loaded: Array<boolean> = []
const { Output } = await import("@llm-cache/core")
const Effect = await import("effect/Effect")
loaded.push(isLoaded)
await Effect.runPromise(Output.parse(Output.tag("a"))("<a></a>"))
await Effect.runPromise(Output.render(Output.tag("a"))("b"))
loaded.push(isLoaded)
const { String } = await import("effect/Schema")
loaded.push(isLoaded)
await Effect.runPromise(Output.parse(Output.json(String))(`"a"`))
process.stdout.write(JSON.stringify(loaded))
