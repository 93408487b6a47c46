#!/usr/bin/env node
import * as Module from "node:module"
import * as V8 from "node:v8"

// First, because both are for modules that load later.
if (process.argv.slice(2).find((arg) => !arg.startsWith("-")) === "inspect") {
  // Lines of traces are read and forgotten: V8 would keep 100 MB more for them.
  V8.setFlagsFromString("--optimize-for-size")
  V8.setFlagsFromString("--semi-space-growth-factor=1")
  V8.setFlagsFromString("--heap-growing-percent=10")
  // Its compilers take 10 to 30 MB for the loops that read a trace.
  V8.setFlagsFromString("--no-maglev")
  V8.setFlagsFromString("--max-inlined-bytecode-size-cumulative=100")
} else Module.enableCompileCache?.()
const { main } = await import("./program.ts")
main(process.argv.slice(2))
