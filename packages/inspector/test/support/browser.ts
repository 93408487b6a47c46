import { Effect } from "effect"
import { chromium } from "playwright-core"

/** Debian's Chromium, or the browser that `CHROMIUM` names. */
export const executable = process.env["CHROMIUM"] ?? "/usr/bin/chromium"

/** Opens the browser until the scope closes. */
export const openBrowser = Effect.acquireRelease(
  // A container has no user for the sandbox.
  Effect.promise(() => chromium.launch({ executablePath: executable, args: ["--no-sandbox"] })),
  (browser) => Effect.promise(() => browser.close())
)
