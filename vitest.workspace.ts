import { configDefaults, defineConfig } from "vitest/config"

const project = (name: string, root: string, options: { readonly fileParallelism?: boolean } = {}) => ({
  extends: true as const,
  test: { name, root, ...options }
})

// Counts of the long tier. A count that the environment has wins.
const longCounts = {
  LLM_CACHE_AGENT_RUNS: "100",
  LLM_CACHE_ALIKE_RUNS: "1000",
  LLM_CACHE_FORK_RUNS: "1000",
  LLM_CACHE_KILLS: "6",
  LLM_CACHE_LAW_RUNS: "60",
  LLM_CACHE_REFERENCE_RUNS: "5000",
  LLM_CACHE_STEP_STRIDE: "1",
  LLM_CACHE_STREAM_RUNS: "200"
}

const longTests = "**/*.long.test.ts"

// `vitest --mode long` is the long tier: its own files, and the tests that repeat themselves as often as a count says.
export default defineConfig(({ mode }) => ({
  test: {
    ...(mode === "long"
      ? {
        include: [longTests, "**/{agents,alike,fork,laws,leavingStreams,mutilatedStreams,reference}.test.ts"],
        env: { ...longCounts, ...process.env }
      }
      : { include: ["**/*.test.ts"], exclude: [...configDefaults.exclude, longTests] }),
    allowOnly: false,
    setupFiles: [`${import.meta.dirname}/vitest.setup.ts`],
    // Vitest leaves a core free. The long tier keeps to that: its tests of processes start processes of their own.
    ...(mode === "long" ? {} : { maxWorkers: "100%" }),
    // A machine may be busy with something else.
    testTimeout: mode === "long" ? 120_000 : 30_000,
    projects: [
      project("ai", "packages/ai"),
      project("cli", "packages/cli"),
      project("core", "packages/core"),
      project("inspector", "packages/inspector"),
      project("providers", "packages/providers"),
      // Its tests change the settings of the server, and count its commands. The long tier has a single file of them.
      project("redis", "packages/redis", { fileParallelism: mode === "long" }),
      project("scripts", "packages/scripts"),
      project("server", "packages/server"),
      project("sql", "packages/sql"),
      project("sqlite", "packages/sqlite"),
      project("testing", "packages/testing"),
      project("examples", "examples")
    ]
  }
}))
