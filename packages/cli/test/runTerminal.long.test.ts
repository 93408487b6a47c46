import { assert, describe, it } from "@effect/vitest"
import * as Path from "node:path"
import { bin, spawn, temporaryFolder } from "./support/cli.ts"

const folder = temporaryFolder()

/** Runs a command in a terminal of its own, types a key when the command says `ready`, and prints what the terminal shows. */
const inTerminal = `
import os, pty, sys
key, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
shown = b""
isTyped = False
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    shown += part
    if not part:
        break
    if not isTyped and b"ready" in shown:
        isTyped = True
        os.write(terminal, key.encode())
_, status = os.waitpid(pid, 0)
sys.stdout.write(shown.decode())
sys.exit(os.waitstatus_to_exitcode(status))
`

/** Counts the interrupts that come within half a second of the first one. */
const counting = `
import os, signal, sys, threading
count = 0
first = threading.Event()
def onInterrupt(*_):
    global count
    count += 1
    first.set()
signal.signal(signal.SIGINT, onInterrupt)
print("ready", flush=True)
first.wait()
signal.signal(signal.SIGALRM, lambda *_: (print("interrupts:", count, sys.stdin.isatty()), sys.exit(7)))
signal.setitimer(signal.ITIMER_REAL, 0.5)
while True:
    signal.pause()
`

const type = (key: string, ...program: ReadonlyArray<string>) =>
  new Promise<{ readonly code: number | null; readonly shown: string }>((resolve) => {
    const llmCache = [process.execPath, bin, "run", "--cache", Path.join(folder, "cache"), "--", ...program]
    const child = spawn("python3", ["-c", inTerminal, key, ...llmCache], process.env)
    let shown = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => void (shown += text))
    child.on("close", (code) => resolve({ code, shown }))
  })

describe("llm-cache run in a terminal", () => {
  it("leaves Ctrl-C to the terminal, so that the program gets it once, also in a run within a run", async () => {
    const nested = [process.execPath, bin, "run", "--cache", Path.join(folder, "inner"), "--"]
    for (const around of [[], nested]) {
      const { code, shown } = await type("\u0003", ...around, "python3", "-c", counting)
      assert.include(shown, "interrupts: 1 True")
      assert.strictEqual(code, 7)
    }
  })

  it("tells the receipt after a program that Ctrl-C or Ctrl-\\ ended, and has its exit code", async () => {
    for (const [key, code] of [["\u0003", 130], ["\u001C", 131]] as const) {
      const ended = await type(key, "sh", "-c", "echo ready; sleep 60")
      assert.strictEqual(ended.code, code, ended.shown)
      assert.include(ended.shown, "0 asked")
    }
  })
})
