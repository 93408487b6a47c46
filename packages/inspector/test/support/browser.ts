import { Effect } from "effect"
import { chromium } from "playwright-core"

/** Debian's Chromium, or the one that `CHROMIUM` names, until the scope closes. */
export const openBrowser = Effect.acquireRelease(
  Effect.promise(() =>
    chromium.launch({
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      // A container has no user for the sandbox.
      args: ["--no-sandbox"]
    })
  ),
  (browser) => Effect.promise(() => browser.close())
)
