/**
 * Portkey's gateway. Its first line of output is its URL. It has no port of its own choice.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createRequire } from "node:module"
import * as Net from "node:net"
import * as Path from "node:path"

const free = Net.createServer().listen(0, "127.0.0.1")
await once(free, "listening")
const { port } = free.address() as Net.AddressInfo
free.close()

const program = Path.join(
  Path.dirname(createRequire(import.meta.url).resolve("@portkey-ai/gateway/package.json")),
  "build/start-server.js"
)
const gateway = spawn(process.execPath, [program, "--headless", `--port=${port}`], {
  stdio: ["ignore", "pipe", "inherit"]
})
process.on("SIGTERM", () => {
  gateway.kill()
  process.exit()
})
await once(gateway.stdout, "data")
console.log(`http://127.0.0.1:${port}`)
