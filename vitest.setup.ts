import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { afterAll } from "vitest"

// Tests write no rescue files into the home folder of the user, and find none there.
const state = Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-state-"))
process.env["XDG_STATE_HOME"] = state
afterAll(() => Fs.rmSync(state, { recursive: true, force: true }))
