#!/usr/bin/env node
import * as Module from "node:module"

// First, because it keeps only the modules that load later.
Module.enableCompileCache?.()
const { main } = await import("./program.ts")
main(process.argv.slice(2))
