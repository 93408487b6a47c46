import { assert, describe, it } from "@effect/vitest"
import { spawn } from "./support/cli.ts"

describe("the processes of a test", () => {
  let ended: Promise<NodeJS.Signals | null>

  it("may go on when it ends", async () => {
    const script = `
      const { spawn } = require("node:child_process")
      spawn(process.execPath, ["-e", "console.log('ready'); setInterval(() => {}, 1000)"], { stdio: "inherit" })
      setInterval(() => {}, 1000)
    `
    const child = spawn(process.execPath, ["-e", script], process.env)
    // It closes when no process has its stdout any more.
    ended = new Promise((resolve) => child.on("close", (_, signal) => resolve(signal)))
    assert.strictEqual(
      await new Promise((resolve) => child.stdout.once("data", (text) => resolve(`${text}`))),
      "ready\n"
    )
  })

  it("are ended before the next one, with those that they started", async () => {
    assert.strictEqual(await ended, "SIGKILL")
  })
})
