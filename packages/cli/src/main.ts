#!/usr/bin/env node
import * as Module from "node:module"
import * as V8 from "node:v8"

// First, because both are for modules that load later.
if (process.argv.slice(2).find((arg) => !arg.startsWith("-")) === "inspect") {
  // Lines of traces are read and forgotten: V8 would keep 100 MB more for them.
  V8.setFlagsFromString("--optimize-for-size")
  V8.setFlagsFromString("--semi-space-growth-factor=1")
} else Module.enableCompileCache?.()
const { main } = await import("./program.ts")
main(process.argv.slice(2))
