#!/usr/bin/env node
import * as Module from "node:module"

// Before any other module is loaded, since it only keeps those that follow.
Module.enableCompileCache?.()
const { main } = await import("./program.ts")
main(process.argv.slice(2))
