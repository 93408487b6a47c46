/**
 * Takes the screenshots of `docs/inspector.md`, of the example that the inspector's tests have, with Debian's Chromium. They are no
 * part of `docs:build`: browsers draw letters differently.
 */
import { Effect } from "effect"
import * as Crypto from "node:crypto"
import { openBrowser } from "../inspector/test/support/browser.ts"
import { colorPrompt, makeExample, numberPrompt } from "../inspector/test/support/example.ts"
import { makeDirectory, servePages } from "../inspector/test/support/pages.ts"

const hashOf = (text: string) => Crypto.createHash("sha256").update(text).digest("hex")

const program = Effect.gen(function*() {
  const directory = yield* makeDirectory
  const { missed, recorded } = yield* makeExample(directory)
  const url = `${yield* servePages(directory)}/inspect`
  const browser = yield* openBrowser
  const shots = [
    { name: "run", path: `/runs/${missed}`, height: 760 },
    { name: "prompt", path: `/prompts/${hashOf(numberPrompt)}?run=${recorded}`, height: 590 },
    { name: "samples", path: `/prompts/${hashOf(colorPrompt)}?a=0&b=1#answers`, height: 560 }
  ]
  for (const { height, name, path } of shots) {
    for (const colorScheme of ["light", "dark"] as const) {
      yield* Effect.promise(async () => {
        const page = await browser.newPage({ colorScheme, viewport: { width: 1000, height } })
        await page.goto(url + path)
        await page.screenshot({ path: `docs/inspector/${name}-${colorScheme}.png` })
        await page.close()
      })
    }
  }
})

await Effect.runPromise(Effect.scoped(program))
